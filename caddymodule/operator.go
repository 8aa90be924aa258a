package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// language is one of the two that people are spoken to in.
type language string

const (
	en language = "en"
	fr language = "fr"
)

// spoken returns the language of whoever runs a command, by POSIX's variables.
// Where none says anything, as on Windows, it is French: the schools are.
func spoken() language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(name); value != "" {
			if value == "C" || strings.HasPrefix(value, "C.") || value == "POSIX" || strings.HasPrefix(value, "en") {
				return en
			}
			return fr
		}
	}
	return fr
}

// colon has a space before it in French.
func (l language) colon() string {
	if l == fr {
		return " :"
	}
	return ":"
}

// operator is somebody at a terminal who asks a running Caddy.
type operator struct {
	address string // of Caddy's admin endpoint; "": as Caddy's own commands find it
	config  string
	adapter string
	site    string // public_url; "": the only one
	json    bool
}

// flags adds to cmd what all of the operator's commands have.
func (o *operator) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.address, "address", "", "Caddy's admin endpoint (default localhost:2019)")
	cmd.Flags().StringVar(&o.config, "config", "", "configuration file that says where the admin endpoint is")
	cmd.Flags().StringVar(&o.adapter, "adapter", "", "adapter of that file, such as caddyfile")
	cmd.Flags().StringVar(&o.site, "site", "", "public_url of the site, where Caddy serves several")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
}

// ask sends one request to the part of the admin API below adminPrefix. A refusal is
// an error in the operator's language; the caller closes the body of any other answer.
func (o *operator) ask(method, name string, query url.Values, body io.Reader) (*http.Response, error) {
	return o.send(method, name, query, http.Header{"Accept": {"application/json"}}, body)
}

// post asks with a form: whatever is about people, because Caddy logs addresses.
func (o *operator) post(name string, form url.Values) (*http.Response, error) {
	header := http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	return o.send(http.MethodPost, name, nil, header, strings.NewReader(form.Encode()))
}

// send is ask with header.
func (o *operator) send(method, name string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(o.address, nil, o.config, o.adapter)
	if err != nil {
		return nil, err
	}
	if query == nil {
		query = make(url.Values)
	}
	if o.site != "" {
		query.Set("site", o.site)
	}
	// Caddy's own client turns a refusal into text; ours is in two languages.
	res, err := caddycmd.AdminAPIRequest(address, method, adminPrefix+name+"?"+query.Encode(), header, body)
	if err == nil {
		return res, nil
	}
	var said both
	if at := strings.Index(err.Error(), "{"); at >= 0 && json.Unmarshal([]byte(err.Error()[at:]), &said) == nil && said.En != "" {
		if said.Fr == "" {
			said.Fr = said.En
		}
		return nil, errors.New(said.in(spoken()))
	}
	return nil, fmt.Errorf("%s (%s)%s %w", both{
		"Caddy does not answer: is it running, and is its admin endpoint there?",
		"Caddy ne répond pas : est-il lancé, et son point d’administration est-il à cette adresse ?"}.in(spoken()), address, spoken().colon(), err)
}
