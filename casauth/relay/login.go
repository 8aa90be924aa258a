package relay

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Login is what a browser asks of /login (CAS 3.0 §2.1.1).
type Login struct {
	Service   string // as PRONOTE spelled it; "" where none is named; not judged yet
	ViaTARGET bool   // it came as TARGET, so the ticket goes back as SAMLart (SAML 1.1)
	Renew     bool   // credentials are to be asked for again
	Gateway   bool   // they are never to be asked for: without a session, back without a ticket
}

// ParseLogin reads the query of a login. What else is in it (method, warn) says
// nothing. The error names a parameter that is there twice: the one that we
// judge must be the one that is used.
func ParseLogin(rawQuery string) (Login, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Login{}, errors.New("the query is not well-formed") // err may quote a ticket
	}
	service, err := one(values, "service", "TARGET")
	if err != nil {
		return Login{}, err
	}
	renew, err := flag(values, "renew")
	if err != nil {
		return Login{}, err
	}
	gateway, err := flag(values, "gateway")
	if err != nil {
		return Login{}, err
	}
	return Login{
		Service:   service,
		ViaTARGET: values.Has("TARGET"),
		Renew:     renew,
		Gateway:   gateway && !renew && service != "",
	}, nil
}

// For returns the query of the same login for another spelling of its service.
func (l Login) For(service string) string {
	name := "service"
	if l.ViaTARGET {
		name = "TARGET"
	}
	query := name + "=" + url.QueryEscape(service)
	if l.Renew {
		query += "&renew=true"
	}
	if l.Gateway {
		query += "&gateway=true"
	}
	return query
}

// one returns the value of a parameter that has several names and may be there
// once, by one of them.
func one(values url.Values, names ...string) (string, error) {
	var all []string
	for _, name := range names {
		all = append(all, values[name]...)
	}
	switch len(all) {
	case 0:
		return "", nil
	case 1:
		return all[0], nil
	}
	return "", fmt.Errorf("more than one %s", strings.Join(names, " or "))
}

// flag reads a parameter that counts by being there, whatever it says (CAS 3.0
// §2.1.1), but for an outright false.
func flag(values url.Values, name string) (bool, error) {
	value, err := one(values, name)
	return values.Has(name) && !strings.EqualFold(value, "false"), err
}

// Destination is where the browser goes on to: the public form of the login's
// service, with ticket added to it. With ticket "" it is what gateway gets that
// found no session. ok is false for a service that may not be used.
func (s *Services) Destination(login Login, ticket string) (_ string, ok bool) {
	public, ok := s.Public(login.Service)
	if !ok || ticket == "" {
		return public, ok
	}
	name := "ticket"
	if login.ViaTARGET {
		name = "SAMLart"
	}
	return withQuery(public, name, ticket), true
}

// withQuery adds a parameter to an address that has no fragment.
func withQuery(address, name, value string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
		if strings.HasSuffix(address, "?") || strings.HasSuffix(address, "&") {
			separator = ""
		}
	}
	return address + separator + name + "=" + url.QueryEscape(value)
}
