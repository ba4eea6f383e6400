"""Sessions in one JSON file, as the home-made interface kept them. Only the import differs."""

from flask import Flask, session

from holdfast.flask import Session as JsonFileSessionInterface

app = Flask(__name__, template_folder="static/html")
app.config.update(
    {
        "SECRET_KEY": "123",
        "SESSION_USE_SIGNER": True,
        "SESSION_TYPE": "file",
        "MY_SESSION_PATH": r"\session.json",
    }
)
se = JsonFileSessionInterface(app=app)


@app.route("/index")
def index() -> str:
    session["k1"] = "v1"
    return "xx"


@app.route("/k1")
def k1() -> str:
    return str(session.get("k1", "nothing"))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=5000, debug=True)  # noqa: S201  # for manual use
