"""What is wrong with a multipart body."""


class MultipartError(ValueError):
    """A body that is not what its media type says; the words are ours, nothing of the body is in them."""
