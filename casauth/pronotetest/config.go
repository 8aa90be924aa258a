package pronotetest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config are the settings of a stand-in. The zero value is one without
// delegation ("accès direct") at /pronote/ (2025) or / (2011).
type Config struct {
	Root string // path below which it answers, with slashes at both ends; "": /pronote/ (2025), / (2011)

	// PublicURL is "URL publique": what its service URLs and redirects are
	// built from, e.g. "https://pronote.example/pronote/". The Host of a
	// request never is. "": PrivateURL.
	PublicURL string
	// PrivateURL is the address it listens on, e.g.
	// "http://192.168.222.60/pronote/". The Start functions fill it in.
	PrivateURL string

	CAS *CAS // where authentication is delegated to; nil: nowhere
	// Delegated are the Espaces delegated to CAS, by page name: commune,
	// direction, professeur, viescolaire, parent, accompagnant, eleve,
	// entreprise, tuteur, academie. nil: all but the last three.
	Delegated []string

	DirectLogin bool     // ?login=true shows PRONOTE's own login form
	People      []Person // nil: DemoPeople()

	IdentityHeader string // header shown by Espaces that are not delegated; "": X-Pronote-Id
	LogoutURL      string // where the logout link of an Espace leads; "": message.html

	PollWait      time.Duration // how long appelpolling waits for a message; 0: 10 minutes
	DownloadSize  int64         // bytes of a FichiersExternes download; 0: 1 MiB
	DownloadPause time.Duration // pause after each 64 KiB of it
	CookieDomain  string        // Domain of a cookie that pages set; "": no cookie
	LogSize       int           // requests remembered; 0: 1000

	Client *http.Client // asks the CAS server; nil: one with a timeout of 10 s; Close closes its idle connections
}

// CAS are the settings of the delegation.
type CAS struct {
	URL            string // base, e.g. "https://pronote.example/pronote-cas"
	LoginPath      string // "": /login
	ValidationPath string // "": /samlValidate; its last segment decides the protocol: samlValidate or serviceValidate
	Attribute      string // that carries the PRONOTE identifier; "": idPronote
}

// Person is a user of PRONOTE.
type Person struct {
	ID     string // identifiant PRONOTE, e.g. "KT2AQ3UW4S98DPYX"
	Name   string
	Espace string // page name of the only Espace the person may enter, e.g. "eleve"

	Login, Password string // for PRONOTE's own login form; no password: none
}

// DemoPeople returns PRONOTE's side of the demo: a pupil, a parent, a teacher,
// and a pupil whose identifier the ENT does not know. The password of PRONOTE's
// own form is "demo" for all.
func DemoPeople() []Person {
	return []Person{
		{ID: "KT2AQ3UW4S98DPYX", Name: "Camille Durand", Espace: "eleve", Login: "cdurand", Password: "demo"},
		{ID: "M7RC5XGB2HJ9VTEN", Name: "Nadia Durand", Espace: "parent", Login: "ndurand", Password: "demo"},
		{ID: "P4WZ8KDUA6YSF3QJ", Name: "Karim Benali", Espace: "professeur", Login: "kbenali", Password: "demo"},
		{ID: "X9VN2FT6HRC4BMK8", Name: "Hugo Lefèvre", Espace: "eleve", Login: "hlefevre", Password: "demo"},
	}
}

// espace is a page with its numbers in PRONOTE's enumeration genreEspace.
type espace struct {
	name            string
	title           string
	desktop, mobile int // 0 for mobile: there is no mobile page
	legacy          bool
}

const commune = "commune"

var espaces = []espace{
	{commune, "Page commune", 0, 9, true},
	{"direction", "Espace Direction", 16, 17, false},
	{"professeur", "Espace Professeurs", 1, 8, true},
	{"viescolaire", "Espace Vie scolaire", 13, 14, true},
	{"parent", "Espace Parents", 2, 7, true},
	{"accompagnant", "Espace Accompagnants", 25, 26, false},
	{"eleve", "Espace Élèves", 3, 6, true},
	{"entreprise", "Espace Entreprise", 4, 39, true},
	{"tuteur", "Espace Tuteurs de stage", 29, 30, false},
	{"academie", "Espace Académie", 5, 0, true},
}

func findEspace(name string) (espace, bool) {
	i := slices.IndexFunc(espaces, func(e espace) bool { return e.name == name })
	if i < 0 {
		return espace{}, false
	}
	return espaces[i], true
}

// page returns the file name of the Espace's page.
func (e espace) page(mobile bool) string {
	switch {
	case e.name == commune && mobile:
		return "mobile.html"
	case e.name == commune:
		return ""
	case mobile:
		return "mobile." + e.name + ".html"
	}
	return e.name + ".html"
}

// espaceOf finds the Espace of a page, by its path below the root, lower case.
func espaceOf(page string) (e espace, mobile, ok bool) {
	if page == "index.html" {
		page = ""
	}
	for _, e := range espaces {
		if page == e.page(false) {
			return e, false, true
		}
		if e.mobile != 0 && page == e.page(true) {
			return e, true, true
		}
	}
	return espace{}, false, false
}

// complete fills in the defaults and refuses what PRONOTE's console would not
// accept either.
func (c *Config) complete(root string) error {
	if c.Root == "" {
		c.Root = root
	}
	if !strings.HasPrefix(c.Root, "/") || !strings.HasSuffix(c.Root, "/") {
		return fmt.Errorf("pronotetest: Root %q must begin and end with a slash", c.Root)
	}
	if c.People == nil {
		c.People = DemoPeople()
	}
	if c.IdentityHeader == "" {
		c.IdentityHeader = "X-Pronote-Id"
	}
	if c.LogoutURL == "" {
		c.LogoutURL = "message.html?G=deconnexionENT"
	}
	if c.PollWait == 0 {
		c.PollWait = 10 * time.Minute
	}
	if c.DownloadSize == 0 {
		c.DownloadSize = 1 << 20
	}
	if c.LogSize == 0 {
		c.LogSize = 1000
	}
	if c.PublicURL == "" {
		c.PublicURL = c.PrivateURL
	}
	if c.PublicURL == "" {
		return fmt.Errorf("pronotetest: PublicURL or PrivateURL must be set: service URLs are never built from Host")
	}
	var err error
	if c.PublicURL, err = base(c.PublicURL, "PublicURL", c.Root); err != nil {
		return err
	}
	return c.completeCAS()
}

func (c *Config) completeCAS() error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Client = &client
	if c.CAS == nil {
		if len(c.Delegated) > 0 {
			return fmt.Errorf("pronotetest: Delegated is set, CAS is not")
		}
		return nil
	}
	cas := *c.CAS
	c.CAS = &cas
	if _, err := base(cas.URL, "CAS.URL", "/"); err != nil {
		return err
	}
	cas.URL = strings.TrimSuffix(cas.URL, "/")
	if cas.LoginPath == "" {
		cas.LoginPath = "/login"
	}
	if cas.ValidationPath == "" {
		cas.ValidationPath = "/samlValidate"
	}
	if cas.Attribute == "" {
		cas.Attribute = "idPronote"
	}
	*c.CAS = cas
	optional := []string{"entreprise", "tuteur", "academie"}
	if c.Delegated == nil {
		for _, e := range espaces {
			if !slices.Contains(optional, e.name) {
				c.Delegated = append(c.Delegated, e.name)
			}
		}
	}
	for _, name := range c.Delegated {
		if _, ok := findEspace(name); !ok {
			return fmt.Errorf("pronotetest: Delegated: no Espace %q", name)
		}
	}
	if c.delegates(commune) { // the console's own rule
		for _, e := range espaces {
			if !slices.Contains(optional, e.name) && !c.delegates(e.name) {
				return fmt.Errorf("pronotetest: Delegated: commune needs %s to be delegated too", e.name)
			}
		}
	}
	return nil
}

func (c *Config) delegates(espace string) bool {
	return c.CAS != nil && slices.Contains(c.Delegated, espace)
}

// base returns an absolute URL that ends with a slash; one without a path gets
// the root.
func base(raw, field, root string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("pronotetest: %s %q is no http or https address without query", field, raw)
	}
	if u.Path == "" {
		return raw + root, nil
	}
	return strings.TrimSuffix(raw, "/") + "/", nil
}
