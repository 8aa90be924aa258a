package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// serveSessions lists the sessions that live, on whichever node: []casauth.Entry.
func serveSessions(w http.ResponseWriter, r *http.Request, s *site) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	all, err := s.sessions.List(r.Context())
	if err != nil {
		return inWords(err)
	}
	return answerJSON(w, all)
}

// serveRevoke ends sessions and answers with those that it ended.
func serveRevoke(w http.ResponseWriter, r *http.Request, s *site) error {
	given, err := form(w, r, "user", "session", "profile", "all")
	if err != nil {
		return err
	}
	which, err := whose(given)
	if err != nil {
		return err
	}
	ended, err := s.revoke(r.Context(), which)
	if err != nil {
		return err
	}
	return answerJSON(w, ended)
}

// whose says which sessions are meant.
func whose(given url.Values) (func(casauth.Entry) bool, error) {
	user, session, profile, all := given.Get("user"), given.Get("session"), given.Get("profile"), given.Get("all")
	said := slices.DeleteFunc([]string{user, session, profile, all}, func(value string) bool { return value == "" })
	switch {
	case len(said) != 1 || all != "" && all != "true":
		return nil, &adminError{http.StatusBadRequest, both{
			"say whose sessions end, by one of user, session, profile and all, and one only",
			"dites de qui terminer les sessions, par user, session, profile ou all, et un seul des quatre"}}
	case user != "":
		return func(e casauth.Entry) bool { return e.User == user }, nil
	case session != "":
		return func(e casauth.Entry) bool { return e.ID == session }, nil
	case profile != "":
		return func(e casauth.Entry) bool { return e.HasProfile(profile) }, nil
	}
	return func(casauth.Entry) bool { return true }, nil
}

// revoke ends the sessions for which which says so, and tells PRONOTE.
func (s *site) revoke(ctx context.Context, which func(casauth.Entry) bool) ([]casauth.Entry, error) {
	// An operator who does not wait for the answer must not leave half of it done.
	ended, farewells, err := s.gate.Revoke(context.WithoutCancel(ctx), which)
	s.bidFarewell(farewells)
	if len(ended) > 0 && errors.Is(err, casauth.ErrStorage) {
		return nil, &adminError{http.StatusServiceUnavailable, both{
			fmt.Sprintf("sessions to end: %d; but Caddy's storage does not answer, so some may go on for a while on other nodes: try again when it is back", len(ended)),
			fmt.Sprintf("sessions à terminer : %d ; mais le stockage de Caddy ne répond pas, et certaines peuvent se poursuivre un moment sur d’autres nœuds : réessayez quand il répondra", len(ended))}}
	}
	return ended, inWords(err)
}

// parameters reads what stands in r's address: site, and what is known.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	given := r.URL.Query()
	return given, onceEach(given, append(known, "site"), both{
		"; what is about people goes into the body, as a form, because Caddy logs addresses",
		" ; ce qui concerne des personnes va dans le corps, en formulaire, car Caddy journalise les adresses"})
}

// maxForm is far above any form that this takes.
const maxForm = 64 << 10

// form reads the form in r's body, which holds nothing but what is known.
func form(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		return nil, &adminError{status, both{
			"the body is no form (application/x-www-form-urlencoded, 64 KiB at most)",
			"le corps n’est pas un formulaire (application/x-www-form-urlencoded, 64 Kio au plus)"}}
	}
	return r.PostForm, onceEach(r.PostForm, known, both{})
}

// onceEach refuses what is not known, for a slip of the pen in dry_run must not become
// an import, and what is there twice.
func onceEach(given url.Values, known []string, advice both) error {
	for name, values := range given {
		if !slices.Contains(known, name) || len(values) > 1 {
			all := strings.Join(known, ", ")
			return &adminError{http.StatusBadRequest, both{
				fmt.Sprintf("the parameter %q is not known here, or there twice; this takes: %s%s", name, all, advice.En),
				fmt.Sprintf("le paramètre « %s » est inconnu ici, ou présent deux fois ; sont acceptés : %s%s", name, all, advice.Fr)}}
		}
	}
	return nil
}

// inWords puts err into words that help an operator, where it is one that an operator
// can do something about.
func inWords(err error) error {
	refused, isRefusal := errors.AsType[*directory.ImportError](err)
	switch {
	case isRefusal && refused.Kind == directory.ImportTooLarge:
		return &adminError{http.StatusRequestEntityTooLarge, both{refused.Error(), refused.French()}}
	case isRefusal:
		return &adminError{http.StatusBadRequest, both{refused.Error(), refused.French()}}
	case errors.Is(err, casauth.ErrStorage):
		return &adminError{http.StatusServiceUnavailable, both{
			"Caddy's storage does not answer: try again when it is back",
			"le stockage de Caddy ne répond pas : réessayez quand il répondra"}}
	case errors.Is(err, directory.ErrSuperseded):
		return &adminError{http.StatusConflict, both{
			"somebody else changed the directory at the same time: nothing was changed here, try again",
			"quelqu’un d’autre a modifié l’annuaire au même moment : rien n’a été changé ici, recommencez"}}
	case errors.Is(err, directory.ErrDamaged):
		return &adminError{http.StatusInternalServerError, both{
			"the rows of the last import are damaged: import the file of everybody again, with mode full",
			"les lignes du dernier import sont abîmées : importez à nouveau le fichier complet, en mode full"}}
	}
	return err
}
