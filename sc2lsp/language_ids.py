"""What editors call languages, as data: the suffixes of their files, and how a line of theirs becomes a comment.

The ids are those of the Language Server Protocol (TextDocumentItem), with those that VS Code, Neovim, Emacs and Jupyter
use beside them. Knows no documents and no grammars.
"""

from dataclasses import dataclass

# suffixes, the usual one first | what begins a comment that ends with the line | what encloses other comments | ids
_TABLE = """
.py .pyi .pyw .pyx .sage .bzl .star        | #    |             | python sage
.js .mjs .cjs                              | //   | /* */       | javascript
.jsx                                       | //   | /* */       | javascriptreact
.ts .mts .cts                              | //   | /* */       | typescript
.tsx                                       | //   | /* */       | typescriptreact
.go                                        | //   | /* */       | go
.java                                      | //   | /* */       | java
.rs                                        | //   | /* */       | rust
.c .h                                      | //   | /* */       | c
.cpp .cc .cxx .hh .hpp .hxx .ipp .ino      | //   | /* */       | cpp c++
.cu .cuh                                   | //   | /* */       | cuda-cpp cuda
.cs                                        | //   | /* */       | csharp cs c#
.rb .rake .gemspec                         | #    | =begin =end | ruby
.php                                       | // # | /* */       | php
.kt .kts                                   | //   | /* */       | kotlin
.scala .sc                                 | //   | /* */       | scala
.lua                                       | --   | --[[ ]]     | lua
.sh .bash .zsh .ksh .fish                  | #    |             | shellscript sh bash zsh fish
.r                                         | #    |             | r
.jl                                        | #    | #= =#       | julia
.swift                                     | //   | /* */       | swift
.dart                                      | //   | /* */       | dart
.m                                         | //   | /* */       | objective-c objc
.mm                                        | //   | /* */       | objective-cpp objcpp
.fs .fsi .fsx                              | //   | (* *)       | fsharp f#
.vb                                        | '    |             | vb
.groovy .gradle                            | //   | /* */       | groovy
.hs                                        | --   | {- -}       | haskell
.ml .mli                                   |      | (* *)       | ocaml
.clj .cljs .cljc .edn                      | ;    |             | clojure
.lisp .scm .rkt                            | ;    | #| |#       | lisp scheme racket
.ex .exs                                   | #    |             | elixir
.erl .hrl                                  | %    |             | erlang
.pl .pm                                    | #    |             | perl
.raku                                      | #    |             | perl6 raku
.ps1                                       | #    | <# #>       | powershell pwsh
.sql                                       | -- # | /* */       | sql
.zig                                       | //   |             | zig
.nix                                       | #    | /* */       | nix
.tf .tfvars .hcl                           | #    | /* */       | terraform
.yaml .yml                                 | #    |             | yaml dockercompose
.toml                                      | #    |             | toml
.ini .cfg .conf .properties                | # ;  |             | ini properties
.json                                      |      |             | json
.jsonc                                     | //   | /* */       | jsonc
.xml                                       |      | <!-- -->    | xml xsl
.html                                      |      | <!-- -->    | html
.css                                       |      | /* */       | css
.scss .sass                                | //   | /* */       | scss sass
.less                                      | //   | /* */       | less
.vue                                       |      | <!-- -->    | vue
.svelte                                    |      | <!-- -->    | svelte
.md                                        |      | <!-- -->    | markdown
.tex .sty .cls                             | %    |             | tex latex
.mk makefile                               | #    |             | makefile make
.cmake cmakelists.txt                      | #    |             | cmake
.dockerfile dockerfile                     | #    |             | dockerfile
.vim                                       | "    |             | vim
.el                                        | ;    |             | elisp emacs-lisp
.bat                                       |      |             | bat
.txt                                       |      |             | plaintext text
"""


@dataclass(frozen=True, slots=True)
class Comments:
    """What begins comments that end with their line, the usual one first, and what encloses others, if anything."""

    line: tuple[str, ...] = ()
    block: tuple[str, str] | None = None

    @staticmethod
    def of(line: str, block: str) -> "Comments":
        opening, _, closing = block.partition(" ")
        return Comments(tuple(line.split()), (opening, closing) if block else None)


_ROWS = [[cell.strip() for cell in line.split(" | ")] for line in _TABLE.strip().splitlines()]
_SUFFIX_OF = {language_id: suffixes.split()[0] for suffixes, _, _, ids in _ROWS for language_id in ids.split()}
_COMMENTS_OF = {suffix: Comments.of(line, block) for suffixes, line, block, _ in _ROWS for suffix in suffixes.split()}
_NONE = Comments()


def language_for_id(language_id: str) -> str | None:
    """The suffix of the language's files, with its dot; None where we do not know the id."""
    return _SUFFIX_OF.get(language_id.lower())


def comments_of(path: str) -> Comments:
    """What comments look like in a file of this name; like nothing where we do not know."""
    name = path.lower().rpartition("/")[2]
    suffix = name[name.rfind(".") :] if "." in name else ""
    return _COMMENTS_OF.get(name) or _COMMENTS_OF.get(suffix, _NONE)


def line_comment(path: str) -> str:
    """What begins a comment that ends with its line, in a file of this name; "" where nothing known does."""
    return next(iter(comments_of(path).line), "")
