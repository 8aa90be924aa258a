package pronote

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

func TestEveryLineOfTheTable(t *testing.T) {
	tests := []struct {
		below  string
		kind   Kind
		espace Espace
		poll   bool
	}{
		{"", Page, Commune, false},
		{"?login=true", Page, Commune, false},
		{"index.html", Page, Commune, false},
		{"mobile.html?fd=1", Page, Commune, false},
		{"direction.html", Page, Direction, false},
		{"mobile.direction.html", Page, Direction, false},
		{"professeur.html", Page, Professeurs, false},
		{"mobile.professeur.html", Page, Professeurs, false},
		{"viescolaire.html", Page, VieScolaire, false},
		{"mobile.viescolaire.html", Page, VieScolaire, false},
		{"parent.html", Page, Parents, false},
		{"mobile.parent.html", Page, Parents, false},
		{"accompagnant.html", Page, Accompagnant, false},
		{"mobile.accompagnant.html", Page, Accompagnant, false},
		{"eleve.html?identifiant=9W7u2z7V5ZfJxYrV", Page, Eleves, false},
		{"mobile.eleve.html", Page, Eleves, false},
		{"entreprise.html", Page, Entreprise, false},
		{"mobile.entreprise.html", Page, Entreprise, false},
		{"tuteur.html", Page, Tuteur, false},
		{"mobile.tuteur.html", Page, Tuteur, false},
		{"academie.html", Page, Academie, false},
		{"mobile.academie.html", Page, Academie, false},

		{"appelfonction/0/1/a", Call, Commune, false},
		{"appelfonction/9/1/a", Call, Commune, false},
		{"appelfonction/1/1/a", Call, Professeurs, false},
		{"appelfonction/8/1/a", Call, Professeurs, false},
		{"appelfonction/2/1/a", Call, Parents, false},
		{"appelfonction/7/1/a", Call, Parents, false},
		{"appelfonction/3/1/a", Call, Eleves, false},
		{"appelfonction/6/1/a", Call, Eleves, false},
		{"appelfonction/4/1/a", Call, Entreprise, false},
		{"appelfonction/39/1/a", Call, Entreprise, false},
		{"appelfonction/5/1/a", Call, Academie, false},
		{"appelfonction/13/1/a", Call, VieScolaire, false},
		{"appelfonction/14/1/a", Call, VieScolaire, false},
		{"appelfonction/16/1/a", Call, Direction, false},
		{"appelfonction/17/1/a", Call, Direction, false},
		{"appelfonction/25/1/a", Call, Accompagnant, false},
		{"appelfonction/26/1/a", Call, Accompagnant, false},
		{"appelfonction/29/1/a", Call, Tuteur, false},
		{"appelfonction/30/1/a", Call, Tuteur, false},
		{"appelpolling/3/1/a", Call, Eleves, true},
		{"uploadfilesession/3/1", Call, Eleves, false},
		{"uploadfilejson/3/1", Call, Eleves, false},
		{"appelfonction/18/1/a", Open, NoEspace, false},
		{"appelfonction/33/1/a", Open, NoEspace, false},
		{"appelpolling/34/1/a", Open, NoEspace, true},
		{"uploadfilesession/18/1", Open, NoEspace, false},

		// Numbers that name no Espace, or are not written as PRONOTE does.
		{"appelfonction", Call, NoEspace, false},
		{"appelfonction/", Call, NoEspace, false},
		{"appelfonction/10/1/a", Call, NoEspace, false},
		{"appelfonction/15/1/a", Call, NoEspace, false},
		{"appelfonction/19/1/a", Call, NoEspace, false},
		{"appelfonction/24/1/a", Call, NoEspace, false},
		{"appelfonction/27/1/a", Call, NoEspace, false},
		{"appelfonction/28/1/a", Call, NoEspace, false},
		{"appelfonction/03/1/a", Call, NoEspace, false},
		{"appelfonction/+3/1/a", Call, NoEspace, false},
		{"appelfonction/-3/1/a", Call, NoEspace, false},
		{"appelfonction/3.0/1/a", Call, NoEspace, false},
		{"appelfonction/0x3/1/a", Call, NoEspace, false},
		{"appelfonction/$3/1/a", Call, NoEspace, false},
		{"appelfonction/3a/1/a", Call, NoEspace, false},
		{"appelfonction/018/1/a", Call, NoEspace, false},
		{"appelfonction/%D9%A3/1/a", Call, NoEspace, false}, // Arabic-Indic three
		{"appelfonction/3", Call, Eleves, false},
		{"appelfonction/18,3/1/a", Call, NoEspace, false},

		{"FichiersExternes/0a1b/devoir.pdf?Session=1234567", Download, NoEspace, false},
		{"fichiersexternes/0a1b/photo.jpg", Download, NoEspace, false},
		{"appeldeconnexion/1/2", Beacon, NoEspace, true},
		{"LogClientLeger", Beacon, NoEspace, true},

		{"InfoMobileApp.json?id=0D264427-EEFC-4810-A9E9-346942A862A4", Open, NoEspace, false},
		{"infoMobileApp.json", Open, NoEspace, false},
		{"message.html?G=deconnexionENT", Open, NoEspace, false},
		{"deconnexion.html", Open, NoEspace, false},
		{"erreur/12", Open, NoEspace, false},
		{"inscription.html", Open, NoEspace, false},
		{"mobile.inscription.html", Open, NoEspace, false},

		{"commun.js", Static, NoEspace, false},
		{"eleve.js", Static, NoEspace, false},
		{"sub/folder/x.css?v=1", Static, NoEspace, false},
		{"favicon.ico", Static, NoEspace, false},
		{"browserconfig.xml", Static, NoEspace, false},
		{"images/manifest.json", Static, NoEspace, false},
		{"images/fond%20bleu.png", Static, NoEspace, false},
		{"polices/arial.WOFF2", Static, NoEspace, false},

		{"SvcAdminServeurHttp", Administration, NoEspace, false},
		{"PortGestionCAS", Administration, NoEspace, false},
		{"WSGestionSecurite/x", Administration, NoEspace, false},
		{"GestionCAS?wsdl", Administration, NoEspace, false},
		{"PublicationServeurHttp", Administration, NoEspace, false},

		{"inconnu", Unknown, NoEspace, false},
		{"inconnu.html", Unknown, NoEspace, false},
		{"pronote.net/cas/validationcas/?ticket=ST-1", Unknown, NoEspace, false},
		{"robots.txt", Unknown, NoEspace, false},
	}
	for _, root := range []string{"/", "/pronote/", "/Ecole/Pronote/"} {
		for _, tt := range tests {
			got := Judge(root+tt.below, root)
			if got.Kind != tt.kind || got.Espace != tt.espace || got.Poll != tt.poll {
				t.Errorf("%s%s: %v %v poll %v (%s), want %v %v poll %v", root, tt.below,
					got.Kind, got.Espace, got.Poll, got.Why, tt.kind, tt.espace, tt.poll)
			}
			if got.Why != "" {
				t.Errorf("%s%s: Why %q on a target that is not ambiguous", root, tt.below, got.Why)
			}
			if want := strings.ToLower(root) + got.Path; got.Full != want {
				t.Errorf("%s%s: Full %q, want %q", root, tt.below, got.Full, want)
			}
		}
	}
}

// Each of these is a way to spell a page, a call or a file so that a proxy and
// a Windows server come to different addresses.
func TestWhatTwoServersReadDifferentlyIsAmbiguous(t *testing.T) {
	for _, target := range []string{
		"", "*", "eleve.html", "http://other.example/eleve.html", "pronote/eleve.html", "?x",
		"/x%2feleve.html", "/x%2Feleve.html", "/images/..%2feleve.html", "/eleve.html%2fx.js",
		`/images\..\eleve.html`, "/images%5celeve.html", "/images%5C..%5Celeve.html",
		"/eleve.html%3fx.js", "/eleve.html%3F.js", "/x%23.js", "/eleve.html%23.js",
		"/eleve.html#.js", "/#", "/x#", "/x?a#b", "/x?#",
		"/eleve.html%00.js", "/%00", "/x%01.js", "/x%7f.js", "/x%0d%0aSet-Cookie:a.js", "/x\x01", "/x\x7f", "/x\ty",
		"/x?a\x00b", "/x?a\nb", "/x?a\x7f", "/x\x00", "/%c2%85", "/%C2%9F.js",
		"/.", "/..", "/./eleve.html", "/../eleve.html", "/images/../eleve.html", "/images/..", "/images/.",
		"/images/%2e%2e/eleve.html", "/images/.%2E/eleve.html", "/images/%2e./eleve.html", "/%2e/x.js", "/.../x.js",
		"//eleve.html", "/images//x.js", "/x//", "//", "/images///../x.js",
		"/eleve.html;x.js", "/eleve.html;jsessionid=1", "/x;", "/images;/../eleve.html", "/eleve.html%3bx.js", "/%3B",
		"/eleve.html/", "/eleve.html/x.js", "/eleve.html/images/x.png", "/eleve.html.", "/eleve.html%20", "/eleve.html%20.js",
		"/eleve.html::$data", "/eleve.html::$DATA", "/eleve.html:x.js", "/eleve.html.js", "/eleve.html%e3%80%80",
		"/ELEVE.HTML/X.JS", "/eleve.%68tml/x.js", "/fichiersexternes/a/b.html.pdf", "/images/eleve.html,x.js", "/eleve.html%c2%a0",
		"/x%", "/x%2", "/x%zz.js", "/%u0065leve.html", "/x%g1", "/%%32%66", "/x%2 ",
		"/x%ff.js", "/%c0%af.js", "/%c0%ae%c0%ae/x.js", "/x%e9.js", "/\xe9.js", "/%ed%a0%80.js", "/%f8%80%80%80%80", "/%ef%bf%bd",
		"/x%252feleve.html", "/%2565leve.html", "/x%252e%252e/y.js", "/%25u0065leve.html", "/%25U0065leve.html", "/%25%36%35leve.html", "/x%255c.js", "/x%2525", "/x%25e9.js",
		"/eleve.html%252f.js", "/%25252f",
		"/x./y.js", "/x../y.js", "/images%20/x.js", "/x%20", "/x.", "/x.js.", "/x%2e", "/appelfonction./3/x.js", "/appelfonction%20/3/x.js", "/%20appelfonction/3/x.js", "/a/%20b/x.js", "/x.js%20", "/ a/b", "/a /b", "/a ",
		"/images%ef%bc%8feleve.html", "/images/%ef%bc%8e%ef%bc%8e/eleve.html", "/x%ef%bc%bcy.js", "/%ef%bc%85%36%35leve.html",
		"/images%e2%88%95eleve.html", "/images%e2%81%84eleve.html", "/x%e2%88%96y.js", "/%e2%80%a5/x.js", "/x%cd%bey.js", "/x%ef%bc%9fy.js", "/x%ef%bc%83y", "/x%e2%88%b6y", "/x%ef%80%af.js",
		"/\uff0felev\uff0ehtml",
		"/ſtatic.js", "/eleve.htmlſ", "/me%c5%bf%c5%bfage.html", "/acade\u0301mi\u212ae.js", "/%e2%84%aa.js", "/FichıersExternes/a/b.pdf", "/%c4%b1mages/x.js", "/%C4%B0ndex.html",
		"/ele\u00adve.html", "/eleve\u200b.html", "/\ufeffeleve.html", "/x\u202e.js", "/\uff45leve.html", "/appelfonction/3/ſ", "/logclientleger/\u200b",
		"/fichiersexternes/a/..%2f..%2feleve.html", "/fichiersexternes/../eleve.html", "/fichiersexternes/a/%ef%bc%8e%ef%bc%8e/x", "/fichiersexternes/a/x;y.pdf", "/fichiersexternes/a/50%25de.pdf",
	} {
		for _, root := range []string{"/", "/pronote/"} {
			asked := target
			if root != "/" && strings.HasPrefix(target, "/") {
				asked = "/pronote" + target
			}
			got := Judge(asked, root)
			if got.Kind != Ambiguous {
				t.Errorf("%q below %s: %v, want ambiguous", asked, root, got.Kind)
			} else if got.Why == "" || got.Path != "" || got.Full != "" {
				t.Errorf("%q: an ambiguous target has a reason and no path: %+v", asked, got)
			}
		}
	}
}

// A refusal that hits what schools really have would be switched off.
func TestOrdinaryNamesAreNotAmbiguous(t *testing.T) {
	tests := []struct {
		target string
		kind   Kind
	}{
		{"/FichiersExternes/0A1B/%C3%89l%C3%A8ve.pdf", Download},
		{"/FichiersExternes/0A1B/Élève.pdf", Download},
		{"/FichiersExternes/0a/E%CC%81le%CC%80ve.pdf", Download}, // as macOS spells it
		{"/FichiersExternes/0a/Devoir%E2%80%A6%20fini%20%E2%80%93%20v2%20(1).pdf", Download},
		{"/FichiersExternes/0a/L%E2%80%99%C5%93uvre%20%C2%AB%C2%A0ici%C2%A0%C2%BB.docx", Download},
		{"/FichiersExternes/0a/100%25%20r%C3%A9ussite.pdf", Download},
		{"/FichiersExternes/0a/Fatma%20%C3%87a%C4%9Fr%C4%B1.pdf", Download},                                    // dotless i in a name
		{"/FichiersExternes/0a/%F0%9F%91%A9%E2%80%8D%F0%9F%8E%93.png", Download},                               // joined emoji
		{"/FichiersExternes/0a/%E3%83%97%E3%83%AA%E3%83%B3%E3%83%88%EF%BC%88%EF%BC%91%EF%BC%89.pdf", Download}, // full-width
		{"/FichiersExternes/0a/%20brouillon.pdf", Download},
		{"/FichiersExternes/0a/page.html", Download},
		{"/FichiersExternes/0a/a~1!$&'()+,=@[].pdf", Download},
		{"/documents/R%C3%A8glement.pdf", Unknown},
		{"/%65leve.html", Page},
		{"/El%45ve.html", Page},
		{"/eleve.html?x=//../%2f%5c;\\%00%zz&y=é", Page},
		{"/mobile.eleve.html?fd=1&bydlg=A6ABB224-12DD-4E31-AD3E-8A39A1C2C335", Page},
		{"/images/", Static},
		{"/x%2Bx.js", Static},
		{"/appelfonction/3/7654321/0a1b2c3d4e5f", Call},
		{"/appelfonction/%33/1/a", Call},
	}
	for _, tt := range tests {
		if got := Judge(tt.target, "/"); got.Kind != tt.kind {
			t.Errorf("%s: %v (%s), want %v", tt.target, got.Kind, got.Why, tt.kind)
		}
	}
}

// A static extension opens a file to everybody; it must not open anything else.
func TestAnExtensionOpensNothingButFiles(t *testing.T) {
	tests := []struct {
		target string
		kind   Kind
	}{
		{"/appelfonction/3/1/x.js", Call},
		{"/appelpolling/3/1/x.png", Call},
		{"/uploadfilesession/3/1/x.js", Call},
		{"/fichiersexternes/a/x.js", Download},
		{"/appeldeconnexion/x.js", Beacon},
		{"/svcadminserveurhttp/x.js", Administration},
		{"/images/gestioncas/x.js", Administration},
		{"/erreur/PortGestionCAS", Administration},
		{"/fichiersexternes/a/SvcAdminServeurHttp", Administration},
		{"/x/appelfonction/3/1/x.js", Unknown},
		{"/images/appelfonction/3/1/x.js", Unknown},
		{"/erreur/appelfonction/3/1", Unknown},
		{"/x/FichiersExternes/a/x.png", Unknown},
		{"/images/eleve.html", Unknown},
		{"/images/x.html", Unknown},
		{"/erreur/eleve.html", Unknown},
		{"/erreur/x.html", Unknown},
		{"/x/eleve.html", Unknown},
		{"/x/message.html", Unknown},
		{"/x/infomobileapp.json", Unknown},
		{"/infomobileapp.json/x", Unknown},
		{"/browserconfig.xml/x", Unknown},
		{"/imagesx/manifest.json", Unknown},
		{"/images.json", Unknown},
		{"/x.json", Unknown},
		{"/x.xml", Unknown},
		{"/x.asp", Unknown},
		{"/x.htm", Unknown},
		{"/x.pdf", Unknown},
		{"/x.js/", Unknown},
		{"/x.js/y", Unknown},
		{"/js", Unknown},
		{"/x.jsx", Unknown},
		{"/x:y.js", Unknown},
		{"/x%22.js", Unknown},
		{"/x*.js", Unknown},
		{"/ELEVE~1.js", Unknown},
		{"/%C3%A9.js", Unknown},
		{"/images/%C3%A9l%C3%A8ve.png", Unknown},
		{"/erreur/%C3%A9", Unknown},
		{"/appeldeconnexion/%C3%A9", Unknown},
		{"/logclientleger/a:b", Unknown},
		{"/100%25.js", Unknown},
		{"/%C4%93leve.html", Unknown}, // e with macron, which a Windows code page turns into e
		{"/appelfonction%C2%A0/3/x.js", Unknown},
		{"/appelfonctions/3/1/x", Unknown},
		{"/eleve", Unknown},
		{"/mobile.mobile.eleve.html", Unknown},
	}
	for _, tt := range tests {
		if got := Judge(tt.target, "/"); got.Kind != tt.kind {
			t.Errorf("%s: %v (%s), want %v", tt.target, got.Kind, got.Why, tt.kind)
		}
	}
}

func TestTheRootIsComparedAsWindowsDoes(t *testing.T) {
	tests := []struct {
		target, root string
		kind         Kind
		path         string
	}{
		{"/pronote", "/pronote/", Page, ""},
		{"/PRONOTE", "/pronote/", Page, ""},
		{"/pronote/", "/pronote/", Page, ""},
		{"/Pronote/Eleve.html", "/PRONOTE/", Page, "eleve.html"},
		{"/%70ronote/eleve.html", "/pronote/", Page, "eleve.html"},
		{"/pronote?x", "/pronote/", Page, ""},
		{"/pronotex", "/pronote/", Unknown, "/pronotex"},
		{"/pronotex/x.js", "/pronote/", Unknown, "/pronotex/x.js"},
		{"/", "/pronote/", Unknown, "/"},
		{"/eleve.html", "/pronote/", Unknown, "/eleve.html"},
		{"/favicon.ico", "/pronote/", Unknown, "/favicon.ico"},
		{"/infomobileapp.json", "/pronote/", Unknown, "/infomobileapp.json"},
		{"/SvcAdminServeurHttp", "/pronote/", Administration, "/svcadminserveurhttp"},
		{"/a/GestionCAS", "/pronote/", Administration, "/a/gestioncas"},
		{"/pron", "/pronote/", Unknown, "/pron"},
		{"/collège/eleve.html", "/Collège/", Page, "eleve.html"},
		{"/coll%C3%A8ge/x.js", "/collège/", Static, "x.js"},
		{"/eleve.html", "", Unknown, "/eleve.html"},
	}
	for _, tt := range tests {
		if got := Judge(tt.target, tt.root); got.Kind != tt.kind || got.Path != tt.path {
			t.Errorf("%s below %q: %v %q (%s), want %v %q", tt.target, tt.root, got.Kind, got.Path, got.Why, tt.kind, tt.path)
		}
	}
}

func TestParseRoot(t *testing.T) {
	for in, want := range map[string]string{
		"": "/", "/": "/", "pronote": "/pronote/", "/pronote": "/pronote/", "/pronote/": "/pronote/",
		"/a/Pronote": "/a/Pronote/", "/collège/": "/collège/",
	} {
		if got, err := ParseRoot(in); got != want || err != nil {
			t.Errorf("ParseRoot(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"/a//b", "/..", "/a/../b", "/a;b", "/a?b", "/a#b", `\a`, "/a%20b", "/a /b", "/a.", "/eleve.html", "/a\x00", "/\u212a", "/\uff0f", "/a\xff",
	} {
		if got, err := ParseRoot(in); err == nil {
			t.Errorf("ParseRoot(%q) = %q, want an error", in, got)
		}
	}
}

// The list of separators is written by hand; Unicode's own data must not know
// of one that it lacks.
func TestNoUnicodeSeparatorIsForgotten(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if r == '…' || 0xD800 <= r && r <= 0xDFFF {
			continue
		}
		if folded := norm.NFKC.String(string(r)); strings.ContainsAny(folded, `/\.:;?#%`) && !unicode.Is(separators, r) {
			t.Errorf("%U is %q to some", r, folded)
		}
	}
}

// A matcher such as /pronote/* compares paths as Caddy reads them; what PRONOTE
// could read as lying below must not slip past beside it.
func TestWhatALaxReaderTakesForAPathBelowRoot(t *testing.T) {
	for target, want := range map[string]bool{
		`/pronote\eleve.html`:               true,
		"/pronote%5celeve.html":             true,
		"/pronote%255celeve.html":           true,
		"/PRONOTE;v=1/eleve.html":           true,
		"/x/../pronote/eleve.html":          true,
		"/x/%2e%2e/pronote/eleve.html":      true,
		"//pronote//eleve.html":             true,
		"/pronote%2feleve.html?x":           true,
		"/pronote ":                         true,
		"/%zz":                              true, // who knows
		"/wiki//page":                       false,
		"/wiki;v=1":                         false,
		"/files/a%2fb":                      false,
		"/pronotes%5celeve.html":            false,
		"/wiki?back=/pronote%5celeve.html":  false,
		"/pronote%2f..%2fwiki%5cpage":       false,
		"/pronote/..%2f..%2f..%2fwiki//etc": false,
	} {
		if got := MayBeBelow(target, "/pronote/"); got != want {
			t.Errorf("MayBeBelow(%q) = %v, want %v", target, got, want)
		}
		if !MayBeBelow(target, "/") {
			t.Errorf("MayBeBelow(%q) of the whole site is false", target)
		}
	}
}
