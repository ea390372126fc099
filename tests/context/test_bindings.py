"""What imports bring into a file."""

import pytest

from sc2lsp.context.bindings import bindings
from sc2lsp.context.document import Document
from sc2lsp.context.tags import extract

from .test_index import index_of

FILES = {
    "pkg/__init__.py": "from .a import A as B\nfrom .deep import *\n",
    "pkg/a.py": "class A:\n    def m(self): pass\nVALUE = 1\n",
    "pkg/deep.py": "from .loop import far\n",
    "pkg/loop.py": "from .deep import nowhere\ndef far(): pass\n",
    "w/a.ts": "export class T {}\nexport default function main() {}\n",
    "w/index.ts": "export { T as U } from './a';\nexport * from './b';\n",
    "w/b.ts": "export const beta = () => 1;\n",
}


@pytest.mark.parametrize(
    ("path", "text", "names", "modules"),
    [
        ("x.py", "from pkg.a import A, VALUE as V\n", {"A": "pkg/a.py", "V": "pkg/a.py"}, {}),
        ("x.py", "from pkg import B, far\n", {"B": "pkg/a.py", "far": "pkg/loop.py"}, {}),
        ("x.py", "from pkg import a\nimport pkg.loop as l\n", {}, {"a": ["pkg/a.py"], "l": ["pkg/loop.py"]}),
        ("x.py", "from pkg.a import *\n", {"A": "pkg/a.py", "VALUE": "pkg/a.py"}, {}),
        ("x.py", "from pkg import nowhere\nimport os\n", {}, {}),
        ("pkg/a.py", "from .a import A\n", {}, {}),  # not from itself
        ("w/x.ts", "import { U, beta as b } from '.';\n", {"U": "w/a.ts", "b": "w/b.ts"}, {}),
        ("w/x.ts", "import * as ns from './b';\n", {}, {"ns": ["w/b.ts"]}),
    ],
)
def test_bindings(path: str, text: str, names: dict[str, str], modules: dict[str, list[str]]) -> None:
    found = bindings(index_of(FILES), path, extract(Document.open(path, text)).imports)
    assert {name: places[0][0] for name, places in found.names.items()} == names
    assert {name: list(paths) for name, paths in found.modules.items()} == modules
    assert path not in found.files
    assert found.files >= set(names.values())
