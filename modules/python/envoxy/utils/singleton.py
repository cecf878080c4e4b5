"""One object per class, or per class and thread."""
import threading

_lock = threading.RLock()


class Singleton:
    """Derive, then call instance(): the first call makes the object."""

    @classmethod
    def instance(cls, *args, **kwargs):
        """The only object of this very class."""
        if "_instance" not in cls.__dict__:
            with _lock:
                if "_instance" not in cls.__dict__:
                    cls._instance = cls(*args, **kwargs)
        return cls._instance

    @classmethod
    def instance_with_queue(cls, queue_):
        """instance(), made with the keyword queue_."""
        return cls.instance(queue_=queue_)


class SingletonPerThread:
    """Derive, then call instance(): each thread has its own object."""

    _threads = threading.local()

    @classmethod
    def instance(cls, *args, **kwargs):
        """The only object of this class in this thread."""
        objects = cls._threads.__dict__
        if cls not in objects:
            objects[cls] = cls(*args, **kwargs)
        return objects[cls]

    @classmethod
    def instance_with_queue(cls, queue_):
        """instance(), made with the keyword queue_."""
        return cls.instance(queue_=queue_)
