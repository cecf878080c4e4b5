"""Sessions that commit or roll back, on an engine that each process makes for itself."""
import contextlib
import functools
import os
import threading

from ...db.orm.requirement import sqlalchemy
from . import engine as engines


class EnvoxySessionManager:
    """Sessions on one server: give it a URL, with keywords of create_engine, or an engine."""

    def __init__(self, url=None, engine=None, engine_kwargs=None, session_kwargs=None):
        if engine is None and not url:
            raise ValueError("a session manager needs a url or an engine")
        self._url = url
        self._options = dict(engine_kwargs or {})
        self._given = engine
        self._engines = {}  # by process: connections of before a fork are the parent's, who is not to lose them
        self._lock = threading.Lock()
        self._session = sqlalchemy.orm.sessionmaker(**{"expire_on_commit": False, **(session_kwargs or {})})

    @property
    def engine(self):
        """The engine of this process, made at first use."""
        if self._given is not None:
            return self._given
        pid = os.getpid()
        if pid not in self._engines:
            with self._lock:
                if pid not in self._engines:
                    self._engines[pid] = engines.create(self._url, self._options)
        return self._engines[pid]

    @contextlib.contextmanager
    def session_scope(self):
        """A session for a with block: committed at its end, rolled back when it raises, closed in any case."""
        session = self._session(bind=self.engine)
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()

    def transactional(self):
        """Decorator: each call gets a session scope's session as keyword `session`, unless it is called with one."""

        def decorate(function):
            @functools.wraps(function)
            def call(*args, **kwargs):
                if isinstance(kwargs.get("session"), sqlalchemy.orm.Session):
                    return function(*args, **kwargs)
                with self.session_scope() as session:
                    return function(*args, **{**kwargs, "session": session})

            return call

        return decorate

    def dispose(self):
        """Close the connections that are idle; a later use opens new ones."""
        engine = self._given or self._engines.pop(os.getpid(), None)
        if engine is not None:
            engine.dispose()
