package castest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Login does what a person with a browser does at loginURL, an absolute URL of
// a /login of this server: it fills in the form if one is shown, and returns
// where the browser is sent then (the service with its ticket). The client's
// jar keeps the login; without a jar every call is a new login. Redirects are
// not followed.
func (s *Server) Login(client *http.Client, loginURL, user string) (location string, err error) {
	s.mu.Lock()
	u, ok := s.users[user]
	s.mu.Unlock()
	if !ok {
		return "", fmt.Errorf("castest: no user %q", user)
	}
	browser := *client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	resp, err := browser.Get(loginURL)
	if err != nil {
		return "", err
	}
	drain(resp)
	if resp.StatusCode == http.StatusOK {
		resp, err = browser.PostForm(loginURL, url.Values{"username": {u.Login}, "password": {u.Password}})
		if err != nil {
			return "", err
		}
		drain(resp)
	}
	location = resp.Header.Get("Location")
	if resp.StatusCode != http.StatusFound || location == "" {
		at, _, _ := strings.Cut(loginURL, "?")
		return "", fmt.Errorf("castest: %s answered %s, not a redirect", at, resp.Status)
	}
	return location, nil
}

func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
