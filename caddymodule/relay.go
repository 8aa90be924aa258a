package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// farewellTimeout is for one message to PRONOTE; who logs out does not wait for it.
const farewellTimeout = 5 * time.Second

// bidFarewell tells PRONOTE that people have logged out (CAS 3.0 §2.3.3). It is
// best effort, as single logout is: PRONOTE's own sessions end by themselves too.
func (h *Handler) bidFarewell(logouts []relay.Logout) {
	if len(logouts) == 0 {
		return
	}
	go func() {
		for _, logout := range logouts {
			if err := h.tell(logout); err != nil {
				h.log.unheard(err)
			}
		}
	}()
}

func (h *Handler) tell(logout relay.Logout) error {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTimeout)
	defer cancel()
	form := url.Values{"logoutRequest": {protocol.LogoutRequest(logout.Ticket, time.Now())}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, logout.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("PRONOTE's address is none") // err quotes it
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := h.client.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is kept
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("PRONOTE answered %s at %s", res.Status, r.URL.Host)
	}
	return nil
}

// maxDiscovery is the largest InfoMobileApp.json that is read; real ones have 2 KB.
const maxDiscovery = 1 << 20

// discovery is the way to PRONOTE's InfoMobileApp.json, in which it tells its app
// where the CAS server is: at the relay.
type discovery struct {
	casURL string
	next   caddyhttp.Handler
}

// ServeHTTP implements caddyhttp.Handler.
func (d discovery) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	r.Header.Del("Accept-Encoding") // it has to be read
	r.Header.Del("Range")
	rec := caddyhttp.NewResponseRecorder(w, new(bytes.Buffer), func(status int, header http.Header) bool {
		length, err := strconv.Atoi(header.Get("Content-Length"))
		return status == http.StatusOK && header.Get("Content-Encoding") == "" &&
			(err != nil || length <= maxDiscovery)
	})
	if err := d.next.ServeHTTP(rec, r); err != nil || !rec.Buffered() {
		return err
	}
	body := withCASURL(rec.Buffer().Bytes(), d.casURL)
	rec.Buffer().Reset()
	rec.Buffer().Write(body)
	header := rec.Header()
	header.Del("Content-Length") // of PRONOTE's bytes; HEAD has none of ours to count
	if r.Method == http.MethodGet {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	for _, name := range []string{"Etag", "Content-Md5", "Content-Digest", "Repr-Digest", "Digest", "Accept-Ranges"} {
		header.Del(name) // they are about other bytes
	}
	return rec.WriteResponse()
}

// withCASURL returns document with the string at CAS.casURL replaced and every
// other byte as it was: PRONOTE's app may mind what a JSON library does not.
func withCASURL(document []byte, casURL string) []byte {
	text := bytes.TrimPrefix(document, []byte("\ufeff")) // browsers skip it, encoding/json does not
	values := json.NewDecoder(bytes.NewReader(text))
	var value json.RawMessage
	if !seek(values, "CAS") || !seek(values, "casURL") || values.Decode(&value) != nil || value[0] != '"' {
		return document
	}
	end := len(document) - len(text) + int(values.InputOffset())
	quoted, err := json.Marshal(casURL)
	if err != nil {
		return document
	}
	return slices.Concat(document[:end-len(value)], quoted, document[end:])
}

// seek enters an object and goes to the value under key.
func seek(values *json.Decoder, key string) bool {
	if begin, err := values.Token(); err != nil || begin != json.Delim('{') {
		return false
	}
	for values.More() {
		name, err := values.Token()
		if err != nil {
			return false
		}
		if name == key {
			return true
		}
		var other json.RawMessage
		if values.Decode(&other) != nil {
			return false
		}
	}
	return false
}
