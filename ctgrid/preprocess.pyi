from .scan.protocols.canonical import from_canonical as from_canonical
from .scan.protocols.canonical import to_canonical as to_canonical
from .scan.protocols.generatect import generatect as generatect
from .scan.protocols.generatect import generatect_pass as generatect_pass
from .scan.protocols.generatect import generatect_with_record as generatect_with_record
from .scan.protocols.generatect import invert as invert
