package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(adminAPI{}) }

// adminPrefix is below what the plugin's part of Caddy's admin API lies.
const adminPrefix = "/pronote_cas/"

// adminAPI is what the operator's commands speak to. It is a part of Caddy's admin
// endpoint, and protected as that is: by listening on this machine alone, or by
// what `admin` in the configuration says.
type adminAPI struct{}

// adminRoutes is the whole of it. Each works on one site, which ?site= names by its
// public_url where Caddy serves several.
var adminRoutes = map[string]func(http.ResponseWriter, *http.Request, *site) error{
	"POST check":       serveCheck,
	"POST check/login": serveCheckLogin,
	"GET trace":        serveTrace,
	"POST trace":       serveTrace,
	"GET sessions":     serveSessions,
	"POST revoke":      serveRevoke,
	"GET directory":    serveDirectory,
	"POST directory":   serveDirectory,
	"POST import":      serveImport,
	"GET export":       serveExport,
	"POST forget":      serveForget,
}

// CaddyModule returns the module's name in Caddy's registry.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.pronote_cas", New: func() caddy.Module { return new(adminAPI) }}
}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminPrefix, Handler: caddy.AdminHandlerFunc(serveAdmin)}}
}

func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(r.URL.Path, adminPrefix)
	serve, ok := adminRoutes[r.Method+" "+name]
	if !ok {
		return answerError(w, &adminError{http.StatusNotFound, both{
			"there is nothing at " + r.Method + " " + adminPrefix + name,
			"il n’y a rien à l’adresse " + r.Method + " " + adminPrefix + name}})
	}
	sites, err := sitesOf(caddy.ActiveContext())
	if err != nil {
		return err
	}
	s, refused := pickSite(sites, r.URL.Query().Get("site"))
	if refused != nil {
		return answerError(w, refused)
	}
	w.Header().Set("Cache-Control", "no-store") // it is about people
	return answerError(w, serve(w, r, s))
}

// both is a sentence in English and in French.
type both struct {
	En string `json:"error"`
	Fr string `json:"erreur"`
}

// in returns the sentence in the language l.
func (b both) in(l language) string {
	if l == fr {
		return b.Fr
	}
	return b.En
}

// adminError is a refusal that an operator reads, in their own language.
type adminError struct {
	status int
	both
}

func (e *adminError) Error() string { return e.En }

// answerError answers err, where it is an *adminError, in both languages. Any other
// is left to Caddy, which logs it: it must not say who somebody is.
func answerError(w http.ResponseWriter, err error) error {
	var refused *adminError
	if !errors.As(err, &refused) {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refused.status)
	return json.NewEncoder(w).Encode(refused.both)
}

// answerJSON answers with value.
func answerJSON(w http.ResponseWriter, value any) error {
	w.Header().Set("Content-Type", "application/json")
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	return lines.Encode(value)
}

var _ caddy.AdminRouter = adminAPI{}
