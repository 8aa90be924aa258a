package pronote

import "strings"

// This file is the table: all that is known of PRONOTE.net's addresses, and
// nothing that is done with them. Everything is relative to the root and in
// lower case. What is not here is gated.

// espaces says which pages open an Espace and by which genreEspace numbers the
// calls of those pages name it (desktop first, then mobile).
//
// Numbers that are not here belong to no Espace that can be configured: 15 is
// PRONOTE's own single sign-on page, 19 to 24, 27, 28, 31, 32 and 35 to 38 are
// PRONOTE Primaire.
var espaces = [...]struct {
	name   string
	pages  []string
	genres []string
}{
	NoEspace:     {},
	Commune:      {"commune", []string{"", "index.html", "mobile.html"}, []string{"0", "9"}},
	Direction:    {"direction", []string{"direction.html", "mobile.direction.html"}, []string{"16", "17"}},
	Professeurs:  {"professeurs", []string{"professeur.html", "mobile.professeur.html"}, []string{"1", "8"}},
	VieScolaire:  {"vie_scolaire", []string{"viescolaire.html", "mobile.viescolaire.html"}, []string{"13", "14"}},
	Parents:      {"parents", []string{"parent.html", "mobile.parent.html"}, []string{"2", "7"}},
	Accompagnant: {"accompagnant", []string{"accompagnant.html", "mobile.accompagnant.html"}, []string{"25", "26"}},
	Eleves:       {"eleves", []string{"eleve.html", "mobile.eleve.html"}, []string{"3", "6"}},
	Entreprise:   {"entreprise", []string{"entreprise.html", "mobile.entreprise.html"}, []string{"4", "39"}},
	Tuteur:       {"tuteur", []string{"tuteur.html", "mobile.tuteur.html"}, []string{"29", "30"}},
	Academie:     {"academie", []string{"academie.html", "mobile.academie.html"}, []string{"5"}},
}

// publicGenres are the genreEspace numbers of what PRONOTE itself excludes from
// every delegation: the enrolment form (18) and the school's public page.
var publicGenres = []string{"18", "33", "34"}

// others are the addresses that open no Espace. A folder counts with all that
// is below it.
var others = []struct {
	name   string
	folder bool
	kind   Kind
	poll   bool
}{
	// The calls of the pages; the segment after the name is the genreEspace.
	{name: "appelfonction", folder: true, kind: Call},
	{name: "appelpolling", folder: true, kind: Call, poll: true},
	{name: "uploadfilesession", folder: true, kind: Call},
	{name: "uploadfilejson", folder: true, kind: Call},

	{name: "fichiersexternes", folder: true, kind: Download},

	// navigator.sendBeacon when a page is left, and the page's own log.
	{name: "appeldeconnexion", folder: true, kind: Beacon, poll: true},
	{name: "logclientleger", folder: true, kind: Beacon, poll: true},

	// What the mobile app asks before anything else.
	{name: "infomobileapp.json", kind: Open},
	// Shown after logout: gated, it would log the person straight in again.
	{name: "message.html", kind: Open},
	{name: "deconnexion.html", kind: Open},
	{name: "erreur", folder: true, kind: Open},
	// The enrolment form.
	{name: "inscription.html", kind: Open},
	{name: "mobile.inscription.html", kind: Open},

	{name: "images", folder: true, kind: Static},
	{name: "browserconfig.xml", kind: Static},
}

// static reports whether a file name extension (without its dot) is one of
// those that pages load and that say nothing about anybody. Documents (pdf,
// json, xml, html) are not among them.
func static(extension string) bool {
	switch extension {
	case "js", "mjs", "css", "map",
		"png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "bmp", "cur",
		"woff", "woff2", "ttf", "otf", "eot",
		"mp3", "wav", "ogg":
		return true
	}
	return false
}

// administers reports whether a segment is an endpoint of PRONOTE's SOAP
// administration. Its console calls each service by the bare name in the second
// list, beside the page it was itself loaded from, and nobody has published
// where that is: so the names are looked for in every segment of a path, and
// outside the root as well. The names of the whole service, of its ports and of
// their descriptions are taken with whatever follows them.
func administers(segment string) bool {
	if len(segment) < len("svcadmin") {
		return false // nearly all segments
	}
	if strings.HasPrefix(segment, "svcadmin") || strings.HasPrefix(segment, "portgestion") || strings.HasPrefix(segment, "wsgestion") {
		return true
	}
	switch segment {
	case "gestioncas", "gestionwsfed", "gestionsaml", "gestioneduconnect",
		"gestionsecurite", "gestiondelegationsauthentification",
		"publicationserveurhttp", "etatserveurhttp", "clientshttp":
		return true
	}
	return false
}

// entry is a line of the table as [Judge] looks it up.
type entry struct {
	kind   Kind
	espace Espace
	folder bool
	poll   bool
}

// surface and genres are the tables above, by first segment below the root and
// by genreEspace number.
var (
	surface = bySegment()
	genres  = byGenre()
)

func bySegment() map[string]entry {
	m := make(map[string]entry)
	for e, row := range espaces {
		for _, page := range row.pages {
			m[page] = entry{kind: Page, espace: Espace(e)}
		}
	}
	for _, o := range others {
		m[o.name] = entry{kind: o.kind, folder: o.folder, poll: o.poll}
	}
	return m
}

func byGenre() map[string]entry {
	m := make(map[string]entry)
	for e, row := range espaces {
		for _, genre := range row.genres {
			m[genre] = entry{kind: Call, espace: Espace(e)}
		}
	}
	for _, genre := range publicGenres {
		m[genre] = entry{kind: Open}
	}
	return m
}
