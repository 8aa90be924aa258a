"""The people that django-cas-server knows here: those of ../lemonldap, with the same invented identifiers."""

from cas_server.auth import AuthUser

PEOPLE = {
    "dwho": {
        "idPronote": "A1B2C3D4E5F60718", "login": "dwho", "displayName": "Éléonore Ünal-Œuvré",
        "markup": "Tom & <Jerry>", "groups": ["users", "timelords"],
    },
    "rtyler": {"idPronote": "0F1E2D3C4B5A6978", "login": "rtyler", "displayName": "Rose Tyler", "groups": ["users"]},
    "msmith": {"idPronote": "9876543210FEDCBA", "login": "msmith", "displayName": "Mickey Smith", "groups": []},
}


class Person(AuthUser):
    def test_password(self, password):
        return self.username in PEOPLE and password == self.username

    def attributs(self):
        return PEOPLE.get(self.username, {})
