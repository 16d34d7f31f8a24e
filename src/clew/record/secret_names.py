"""Which names of fields say that the value is a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_WORDS: Final = frozenset(
    {
        "password", "passwords", "passwd", "pwd", "passphrase", "passcode", "secret", "secrets", "authorization",
        "cookie", "cookies", "jwt", "credential", "credentials", "bearer", "auth", "apikey", "accesskey",
        "privatekey", "secretkey", "authtoken", "accesstoken", "sessionid",
    },
)  # fmt: skip
# Many a program calls a conversation its session; one word is the name of a cookie.
_JOINED: Final = _WORDS - {"sessionid"}
_KEYED: Final = frozenset(
    {"api", "access", "private", "secret", "signing", "encryption", "account", "ssh", "master"}
)
# Whose pass it is: a first, a second or a forward pass is a walk through data, a boarding pass is a card.
_PASSED: Final = frozenset(
    {
        "user", "db", "database", "smtp", "imap", "mail", "email", "admin", "root", "login", "ftp", "sftp", "ssh",
        "ldap", "mysql", "pg", "postgres", "redis", "rabbitmq", "mqtt", "http", "https", "proxy", "vpn", "wifi",
        "sudo", "basic", "my", "new", "old", "client", "server", "key", "cert", "keystore", "registry", "app",
    },
)  # fmt: skip
# Who gives out keys: what is called after them is one. Words that mean much else are not among them.
_PROVIDERS: Final = frozenset(
    {
        "openai", "anthropic", "claude", "stripe", "aws", "azure", "google", "gcp", "gemini", "vertex", "github",
        "gitlab", "bitbucket", "slack", "twilio", "sendgrid", "mailgun", "mailchimp", "huggingface", "hf", "cohere",
        "mistral", "groq", "grok", "xai", "deepseek", "openrouter", "perplexity", "togetherai",
        "fireworks", "replicate", "nvidia", "cerebras", "moonshot", "dashscope", "voyage", "voyageai", "elevenlabs",
        "deepgram", "assemblyai", "tavily", "serper", "serpapi", "exa", "pinecone", "weaviate", "qdrant", "langsmith",
        "langfuse", "langchain", "wandb", "datadog", "newrelic", "cloudflare", "digitalocean", "heroku", "supabase",
        "firebase", "algolia", "mapbox", "shopify", "paypal", "plaid", "discord", "telegram",
    },
)  # fmt: skip
# Written without a mark in between (`openaikey`, `OpenAIKey`); a short name could be the end of another word.
_PROVIDER_KEYS: Final = tuple(
    f"{name}{key}" for name in _PROVIDERS if len(name) > 4 for key in ("key", "keys")
)
_JOINED_PASSES: Final = frozenset(f"{whose}pass" for whose in ("user", "db", "smtp", "mysql", "ftp", "admin"))
# What tokenizers call their special tokens.
_NO_SECRET: Final = frozenset(
    {"bos", "eos", "pad", "unk", "mask", "sep", "cls", "stop", "start", "end", "special"}
)
# How long a password must be is no secret.
_MEASURES: Final = frozenset({"length", "len", "count", "size"})
_SPLIT: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_MOST_NAMES: Final = 4096


class SecretNames:
    """Judges names of fields: those that everybody uses, and a user's own."""

    def __init__(self, own: Collection[str] = ()) -> None:
        """Judge as usual, and take these names for secret too (case and separators do not matter)."""
        self._own = frozenset(fold(name) for name in own)
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        """Say whether a field of that name holds a secret. The answer is kept."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) > _MOST_NAMES:  # names made up at run time must not fill the memory
                self._known.clear()
            known = self._known[name] = self._judge(name)
        return known

    def _judge(self, name: str) -> bool:
        folded = fold(name)
        if folded in self._own:
            return True
        words = [word.lower() for word in _SPLIT.split(name) if word]
        if not words or words[-1] in _MEASURES:
            return False
        if not _WORDS.isdisjoint(words) or folded in _JOINED or folded in _JOINED_PASSES:
            return True
        return _last_word_tells(words, folded) or words[:2] == ["connection", "string"]


def _last_word_tells(words: list[str], folded: str) -> bool:
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in {"key", "keys"} and (not _KEYED.isdisjoint(words) or before in _PROVIDERS):
        return True
    if last.endswith(("key", "keys")) and folded.endswith(_PROVIDER_KEYS):
        return True
    # `token` is a secret, `tokens` and `token_count` are numbers of tokens.
    if last == "token":
        return before not in _NO_SECRET
    if last == "pass":
        return not before or before in _PASSED
    return last in {"pw", "otp", "totp"} or words[-2:] == ["otp", "code"]


def fold(name: str) -> str:
    """Return a name without what spellings differ in."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def spellings(name: str) -> set[str]:
    """Return how a name may be written in a text, in lower case."""
    words = [word.lower() for word in _SPLIT.split(name) if word]
    return {mark.join(words) for mark in ("", "_", "-", " ")} | {name.lower()}
