"""The sink process's settings."""

from process.listening import ListeningSettings
from process.settings import setting


class SinkSettings(ListeningSettings):
    """What a sink process can be told."""

    port: int = setting(1025, "the port to listen on; 0 takes a free one", ge=0, le=65535)
    process: str = setting("mail-sink", "the name of this process in logs and traces")
    mail_folder: str = setting("var/mail", "the folder that letters are stored in, as a Maildir", min_length=1)
