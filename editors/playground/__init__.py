"""The playground: the language server in a web page on this machine, with what it thought beside what it suggests."""
