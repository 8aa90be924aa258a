package caddymodule

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// serveDirectory lists who is in the directory: []directory.Row. A POST's form may
// have q, words to look for.
func serveDirectory(w http.ResponseWriter, r *http.Request, s *site) error {
	given, err := form(w, r, "q")
	if err != nil {
		return err
	}
	rows, err := s.people.Rows(r.Context())
	if err != nil {
		return inWords(err)
	}
	words := strings.Fields(given.Get("q"))
	return answerJSON(w, slices.DeleteFunc(rows, func(row directory.Row) bool { return !fits(row, words) }))
}

// fits reports whether each of words is a part of row's names or identifiers, whatever
// its case and accents.
func fits(row directory.Row, words []string) bool {
	names := directory.Fold(row.LastName) + "\n" + directory.Fold(row.FirstName)
	identifiers := strings.ToLower(row.PronoteID + "\n" + row.User)
	for _, word := range words {
		name := directory.Fold(word)
		if (name == "" || !strings.Contains(names, name)) && !strings.Contains(identifiers, strings.ToLower(word)) {
			return false
		}
	}
	return true
}

const (
	// maxImport is twice what the directory takes. What is beyond that is read for
	// one reason: whoever is still sending does not hear the refusal.
	maxImport = 128 << 20
	ndjson    = "application/x-ndjson"
)

// serveImport imports the file that is r's body: directory.Report. To whoever accepts
// ndjson it says on lines before, every thousand rows, how many have been read; then
// a refusal may be the last line.
func serveImport(w http.ResponseWriter, r *http.Request, s *site) error {
	query, err := parameters(r, "mode", "dry_run", "name")
	if err != nil {
		return err
	}
	dry, err := yes(query, "dry_run")
	if err != nil {
		return err
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // Caddy gives a request ten seconds; a large file may come through a thin line
	var progress func(n int)
	if strings.Contains(r.Header.Get("Accept"), ndjson) {
		_ = control.EnableFullDuplex() // an answer while the file still comes
		progress = func(n int) {
			w.Header().Set("Content-Type", ndjson)
			_, _ = fmt.Fprintf(w, "{\"read\":%d}\n", n) // who left needs no progress
			_ = control.Flush()
		}
	}
	body := http.MaxBytesReader(w, r.Body, maxImport)
	report, err := s.people.Import(r.Context(), body, query.Get("name"), directory.Mode(query.Get("mode")), dry, progress)
	_, _ = io.Copy(io.Discard, body)
	if err = inWords(err); err == nil {
		return answerJSON(w, report)
	}
	if refused, ok := err.(*adminError); ok && w.Header().Get("Content-Type") == ndjson {
		return answerJSON(w, refused.both) // the status has been said
	}
	return err
}

// yes reads a parameter that is true or false; not there is false.
func yes(given url.Values, name string) (bool, error) {
	value, err := strconv.ParseBool(cmp.Or(given.Get(name), "false"))
	if err != nil {
		return false, &adminError{http.StatusBadRequest, both{
			name + " is true or false", name + " vaut true ou false"}}
	}
	return value, nil
}

// serveExport answers with what the school's secretary has to look after:
// directory.Export, or, to whoever accepts text/csv, a sheet in the language lang.
func serveExport(w http.ResponseWriter, r *http.Request, s *site) error {
	query, err := parameters(r, "lang")
	if err != nil {
		return err
	}
	lang := cmp.Or(query.Get("lang"), string(fr))
	if lang != string(fr) && lang != string(en) {
		return &adminError{http.StatusBadRequest, both{"lang is fr or en", "lang vaut fr ou en"}}
	}
	export, err := s.people.Export(r.Context())
	if err != nil {
		return inWords(err)
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/csv") {
		return answerJSON(w, export)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	return export.WriteCSV(w, lang)
}

// forgotten is what was erased of a person.
type forgotten struct {
	Known    bool            `json:"known"`    // the directory had something
	Sessions []casauth.Entry `json:"sessions"` // that have ended
}

// serveForget erases a person from the directory and ends their sessions: forgotten.
// keep_row leaves the imported row, without its CAS identifier.
func serveForget(w http.ResponseWriter, r *http.Request, s *site) error {
	given, err := form(w, r, "user", "keep_row")
	if err != nil {
		return err
	}
	keep, err := yes(given, "keep_row")
	if err != nil {
		return err
	}
	user := given.Get("user")
	if user == "" {
		return &adminError{http.StatusBadRequest, both{
			"say whom to forget, by the CAS identifier: user",
			"dites qui oublier, par son identifiant CAS : user"}}
	}
	var done forgotten
	if done.Sessions, err = s.revoke(r.Context(), func(e casauth.Entry) bool { return e.User == user }); err != nil {
		return err
	}
	forget := s.people.Forget
	if keep {
		forget = s.people.Release
	}
	if done.Known, err = forget(context.WithoutCancel(r.Context()), user); err != nil {
		return inWords(err)
	}
	if !done.Known && len(done.Sessions) == 0 {
		return &adminError{http.StatusNotFound, both{
			fmt.Sprintf("nobody is known by the CAS identifier %q; `caddy pronote-cas directory NAME` shows how it is spelled", user),
			fmt.Sprintf("personne n’est connu sous l’identifiant CAS « %s » ; `caddy pronote-cas directory NOM` montre son orthographe", user)}}
	}
	return answerJSON(w, done)
}
