"""Texts with secrets in them, and texts that only look like it. None of the secrets opens anything."""

from __future__ import annotations

from typing import Final

_LONG: Final = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3"

# What must not be in the log, by the kind of secret. Put together here, so that no scanner takes them for real.
SECRETS: Final[dict[str, str]] = {
    "openai": "sk-" + _LONG,
    "openai project": "sk-proj-" + _LONG + "_" + _LONG,
    "anthropic": "sk-ant-api03-" + _LONG + "-" + _LONG + "AA",
    "aws access key id": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws session key id": "ASIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + _LONG[:36],
    "github server": "ghs_" + _LONG[:36],
    "github fine-grained": "github_pat_" + "11ABCDEFG0" + _LONG,
    "gitlab": "glpat-" + _LONG[:20],
    "slack bot": "xoxb-" + "123456789012-1234567890123-" + _LONG[:24],
    "slack app": "xapp-" + "1-A0123456789-" + _LONG,
    "google api": "AIza" + "Sy" + _LONG[:33],
    "google oauth": "ya29." + "a0" + _LONG,
    "google client": "GOCSPX-" + _LONG[:28],
    "hugging face": "hf_" + _LONG[:34],
    "npm": "npm_" + _LONG[:36],
    "pypi": "pypi-" + "AgEIcHlwaS5vcmc" + _LONG,
    "stripe": "sk_" + "live_" + _LONG[:24],
    "stripe webhook": "whsec_" + _LONG[:32],
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" + "." + _LONG,
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow" + _LONG + "\n" + _LONG + "\n-----END RSA PRIVATE KEY-----",
    "openssh key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNz" + _LONG,  # cut off before its end
}  # fmt: skip

# A text, and the part of it that is a secret: what stands around it stays.
IN_TEXT: Final[dict[str, tuple[str, str]]] = {
    "bearer": ("Authorization: Bearer abc123def456", "abc123def456"),
    "bearer alone": ("curl -H 'bearer abcDEFghiJKL'", "abcDEFghiJKL"),
    "basic": ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    "basic alone": ("sent Basic dXNlcjpwYXNzd29yZA== to it", "dXNlcjpwYXNzd29yZA"),
    "url": ("connect to postgres://ann:hunter2@db.example.org/app", "hunter2"),
    "url with @ in the password": ("redis://:p@ss@w0rd@localhost:6379/0", "ss@w0rd"),
    "url with a user of none": ("amqp://:tops3cret@broker", "tops3cret"),
    "short": ("pwd=hunt2", "hunt2"),
    "key=value": ("OPENAI_API_KEY=abcd1234 python main.py", "abcd1234"),
    "export": (
        "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
    ),
    "query": ("GET /v1/items?page=2&access_token=zyx987wvu&limit=5", "zyx987wvu"),
    "form": ("user=ann&password=correct-horse&remember=1", "correct-horse"),
    "colon": ("password: correct-horse", "correct-horse"),
    "yaml": ("db:\n  user: ann\n  password: 'correct-horse'\n", "correct-horse"),
    "json": ('{"user": "ann", "api_key": "k-998877", "n": 1}', "k-998877"),
    "json in json": (r'{"body": "{\"client_secret\": \"s3cr3t-value\"}"}', "s3cr3t-value"),
    "python repr": ("Config(user='ann', password='correct-horse')", "correct-horse"),
    "dict repr": ("{'x-api-key': 'k-998877', 'n': 1}", "k-998877"),
    "header": ("X-Api-Key: k-998877\r\nAccept: */*", "k-998877"),
    "flag": ("tool --token=abcd1234 --verbose", "abcd1234"),
    "upper case": ("PASSWORD=CORRECT-HORSE", "CORRECT-HORSE"),
    "passphrase": ("passphrase = tr0ub4dor", "tr0ub4dor"),
    "azure": ("AccountName=x;AccountKey=Zm9vYmFy1234==;Suffix=y", "Zm9vYmFy1234=="),
    "slack webhook": ("https://hooks.slack.com/services/T000/B000/abc123XYZ", "T000/B000/abc123XYZ"),
    "behind letters that grow in lower case": ("İİİİ password=hunter22", "hunter22"),
    "behind an emoji": ("🔑🔑 password=hunter22", "hunter22"),
}

HARMLESS_TEXTS: Final = (
    "passwordless login is enabled",
    "a basic understanding of calculus",
    "Basic functionality and basic authentication",
    "the bearer certificates of the bank",
    "input_tokens: 1234, max_tokens=4096, total_tokens: 17",
    "token_count=12 tokens=40 token: 4096",
    "the tokenizer: gpt2, eos token",
    "author: Ann Example, authors=3",
    "monkey=banana hockey: 3 keyboard=qwerty turkey: 1",
    "the secretary: Mr. Smith",
    "key: value, keys=abcdefgh, primary_key: 12345678",
    "https://example.org/path?q=1#frag and mailto:ann@example.org",
    "http://localhost:8080/ wrote ann@example.org",
    "skipped task-management-system-for-us-all, desk-and-chair-and-table",
    "password: None, token: null, secret=false",
    "0199c2f1a3b4555555555555555555555 is a run id and 4bf92f3577b34da6a3ce929d0e0e4736 a trace",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "SHA256:n0tAs3cretJustAF1ngerpr1nt0fAKey",
    "2026-11-21T03:59:12.123456Z",
    "session_id=abcdef-123",
    "bypass: enabled first_pass=results.json second pass: tests pass, pass_count=12 passenger: Smith",
    "password_length=8 otpions: verbose keyboard: qwerty12 sort_key=created_at cache_key='user:17:profile'",
    "PASS: test_login_works and pass: 12, fail: 3, {'pass': 12}",
    "('pass', 'fail') and ('key', 'value1'), ('sort_key', 'created_at')",
    "names = ['password', 'secret', 'token'], ('username', 'password')",
    "{'tokens': ['the', 'cat', 'sat']}",
    "('input_tokens', 'output_tokens'), ['password', 'username'], required: ['token', 'name']",
    "getpass(prompt='Password: ', stream=None) and print('token: ' + repr(word))",
    "use --password to log in; the --token option is required; --token TOKEN, --password <password>",
    "tool --token $TOKEN --password-file /run/secrets/x --max-tokens 4096 --token 4096 --sort-key created",
    "Missing option '--token'. No such option: --passwd Did you mean --password?",
    "the cookie: chocolate, ['cookie', 'banana'], cookie_policy: strict=1",
    "otp: 25.3, upwind: north, spwx=12345678, OTP: null",
    "| name | --------- | --------- password |",
)

SECRET_NAMES: Final = (
    "password", "Password", "PASSWORD", "db_password", "dbPassword", "user.password", "passwd", "pwd",
    "passphrase", "secret", "client_secret", "clientSecret", "AWS_SECRET_ACCESS_KEY", "token", "access_token",
    "accessToken", "refresh-token", "id_token", "authToken", "X-Auth-Token", "authorization", "Authorization",
    "proxy-authorization", "auth", "api_key", "apiKey", "api-key", "x-api-key", "APIKey", "apikey",
    "OPENAI_API_KEY", "private_key", "privateKey", "secret_key", "access_key", "access_keys", "signing_key",
    "ssh_key", "account_key", "credential", "credentials", "aws.credentials", "cookie", "Set-Cookie", "cookies",
    "jwt", "bearer", "sessionid", "connection_string", "connectionString", "user_pass", "db_pass", "dbPass", "dbpass",
    "SMTP_PASS", "pw", "db_pw", "otp", "user_otp", "otp_code", "totp", "openai_key", "OPENAI_KEY", "openaiKey",
    "OpenAIKey", "openaikey", "open_ai_key", "stripe_key", "stripeKey", "my_anthropic_key", "aws_key", "azureKey",
    "google_key", "gemini_key", "github_key", "gitlab_key", "slack_key", "twilio_key", "sendgrid_key",
    "huggingface_key", "hugging_face_key", "hf_key", "cohere_key", "mistral_key", "groq_key", "deepseek_key",
    "openrouter_key", "openai_keys",
)  # fmt: skip

HARMLESS_NAMES: Final = (
    "input_tokens", "output_tokens", "max_tokens", "tokens", "token_count", "tokenCount", "tokenizer",
    "tokenize", "eos_token", "pad_token", "author", "authors", "authority", "monkey", "hockey", "keyboard",
    "turkey", "key", "keys", "primary_key", "foreign_key", "sort_key", "keyword", "passwordless", "passenger",
    "compass", "secretary", "session_id", "session", "basic", "cookbook", "account", "access", "public_key",
    "passed", "bypass", "pass_count", "first_pass", "forward_pass", "boarding_pass", "password_length", "otpions",
    "cache_key", "partition_key", "lawskey", "pwm", "power", "key_value", "togetherkey", "issue_key", "n_params", "query", "headers",
)  # fmt: skip
