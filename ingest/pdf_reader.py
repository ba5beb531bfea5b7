"""PDF."""
from ingest.documents import SourceFile
def read_pdf(file: SourceFile):
    yield from ()
