"""Finders for sys.meta_path, under uWSGI's names."""
import importlib.machinery
import importlib.util
import io

from .files import READERS, content


class SymbolsImporter:
    """Finds modules that are embedded in the executable: nothing is in this one, so it finds nothing."""

    def find_spec(self, name, path=None, target=None):
        return None


class ZipImporter:
    """ZipImporter(source): finds modules in a zip archive, a file's or any source that extract() reads."""

    def __init__(self, source):
        if not isinstance(source, str):
            raise TypeError("ZipImporter() takes a str")
        import zipfile  # slow to import, and seldom needed

        scheme, separator, rest = source.partition("://")
        try:
            data = READERS[scheme](rest) if separator and scheme in READERS else content(source)
            self.archive = zipfile.ZipFile(io.BytesIO(data))
        except (OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"no zip archive at {source}: {error}") from error
        self.source = source
        self.names = set(self.archive.namelist())

    def find_spec(self, name, path=None, target=None):
        base = name.replace(".", "/")
        for file, package in ((base + "/__init__.py", True), (base + ".py", False)):
            if file in self.names:
                spec = importlib.machinery.ModuleSpec(name, self, origin=f"{self.source}/{file}", is_package=package)
                spec.loader_state = file
                return spec
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        module.__file__ = spec.origin
        exec(compile(self.archive.read(spec.loader_state), spec.origin, "exec"), module.__dict__)


class SymbolsZipImporter:
    """As ZipImporter, for an archive that is embedded in the executable; there is none."""

    def __init__(self, symbol):
        raise ValueError(f"unable to find symbol {symbol}: nothing is embedded in envoxyd")
