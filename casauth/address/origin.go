package address

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Origin is the scheme, host and port of a web address in canonical form: lower
// case, no default port, international names in their ASCII form. Origins can
// be compared with ==. The zero Origin is none.
type Origin struct {
	scheme string
	host   string // without port or brackets
	port   string // "" for the scheme's own
}

// ParseOrigin reads an http or https address that is no more than an origin: no
// user, path, query or fragment; a single final slash is forgiven. The error
// says what would be right.
func ParseOrigin(s string) (Origin, error) {
	o, u, err := parse(s)
	switch {
	case err != nil:
		return Origin{}, err
	case u.Path != "" && u.Path != "/":
		return Origin{}, fmt.Errorf("%q has a path: write only %s", s, o)
	case hasQuery(u):
		return Origin{}, fmt.Errorf("%q has a query: write only %s", s, o)
	}
	return o, nil
}

// parse reads any http or https address without user and fragment.
func parse(s string) (Origin, *url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return Origin{}, nil, errors.New("an empty address: write one like https://pronote.example.fr")
	case err != nil:
		// The error of url.Parse repeats the address, with the password if it has one.
		return Origin{}, nil, errors.New("an address that cannot be read: write one like https://pronote.example.fr")
	case u.User != nil:
		return Origin{}, nil, fmt.Errorf("the address of %s has a user name or password: leave it out, with its @", u.Hostname())
	case u.Scheme != "http" && u.Scheme != "https":
		return Origin{}, nil, fmt.Errorf("%q does not begin with http:// or https://: write https:// before the host", s)
	case u.Opaque != "" || u.Host == "":
		return Origin{}, nil, fmt.Errorf("%q has no host: write one like https://pronote.example.fr", s)
	case strings.Contains(s, "#"):
		return Origin{}, nil, fmt.Errorf("%q has a fragment: leave out the '#' and what follows", s)
	}
	o := Origin{scheme: u.Scheme}
	if o.host, err = canonicalHost(u.Hostname()); err != nil {
		return Origin{}, nil, fmt.Errorf("%q: %w", s, err)
	}
	if o.port, err = canonicalPort(u); err != nil {
		return Origin{}, nil, fmt.Errorf("%q: %w", s, err)
	}
	return o, u, nil
}

// canonicalHost returns the one spelling of a host under which it is compared.
func canonicalHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return "", errors.New("an IPv6 zone means something on one machine only: leave out the '%' and what follows")
		}
		return ip.String(), nil
	}
	ascii := strings.ToLower(host)
	for _, r := range host {
		if r >= 0x80 {
			var err error
			if ascii, err = idna.Lookup.ToASCII(host); err != nil {
				return "", errors.New("the host is no valid international name: write its ASCII form, which begins with xn--")
			}
			break
		}
	}
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" {
			return "", errors.New("the host has an empty part: write it without a dot at its beginning or end, or two in a row")
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", fmt.Errorf("a host holds letters, digits, dots and hyphens, not %q", c)
			}
		}
	}
	// Browsers read 10.1, 0x7f.1 and 192.168.1.010 as IPv4 addresses, each in its own way.
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "" {
		return "", errors.New("the host is neither a name nor an IPv4 address: write the address as four numbers without leading zeros")
	}
	return ascii, nil
}

// canonicalPort returns the port of u, or "" where it is the scheme's own.
func canonicalPort(u *url.URL) (string, error) {
	if strings.HasSuffix(u.Host, ":") {
		return "", errors.New("the port is missing: write it, or leave out the ':'")
	}
	port := u.Port()
	if port == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("the port is not one: write a number from 1 to 65535")
	}
	if u.Scheme == "http" && n == 80 || u.Scheme == "https" && n == 443 {
		return "", nil
	}
	return strconv.FormatUint(n, 10), nil
}

func hasQuery(u *url.URL) bool { return u.RawQuery != "" || u.ForceQuery }

// Scheme returns "http" or "https".
func (o Origin) Scheme() string { return o.scheme }

// Hostname returns the host without port, and without the brackets of IPv6.
func (o Origin) Hostname() string { return o.host }

// Host returns the host as a Host header field has it: with brackets around
// IPv6 and with the port unless it is the scheme's own.
func (o Origin) Host() string {
	switch {
	case o.port != "":
		return net.JoinHostPort(o.host, o.port)
	case strings.Contains(o.host, ":"):
		return "[" + o.host + "]"
	}
	return o.host
}

// String returns the origin without a final slash, as in https://host:8443; ""
// for the zero Origin.
func (o Origin) String() string {
	if o == (Origin{}) {
		return ""
	}
	return o.scheme + "://" + o.Host()
}

// Loopback reports whether the host can only be this machine: localhost and
// names below it (RFC 6761), 127.0.0.0/8, ::1.
func (o Origin) Loopback() bool {
	if ip, err := netip.ParseAddr(o.host); err == nil {
		return ip.IsLoopback()
	}
	return o.host == "localhost" || strings.HasSuffix(o.host, ".localhost")
}

// Names reports whether host, as a Host header field or an absolute request
// target has it, is this origin's: case-blind, with or without the scheme's own
// port.
func (o Origin) Names(host string) bool {
	other, err := ParseOrigin(o.scheme + "://" + host)
	return err == nil && other == o && !strings.HasSuffix(host, "/")
}

// Prefix is an origin with the path that all its addresses begin with; Path
// begins and ends with a slash, or is "" where every path counts.
type Prefix struct {
	Origin
	Path string
}

// ParsePrefix reads an http or https address with an optional path and without
// user, query and fragment. A single "/" is no path.
func ParsePrefix(s string) (Prefix, error) {
	o, u, err := parse(s)
	switch {
	case err != nil:
		return Prefix{}, err
	case hasQuery(u):
		return Prefix{}, fmt.Errorf("%q has a query: leave out the '?' and what follows", s)
	}
	path := strings.Trim(u.Path, "/")
	if path == "" {
		return Prefix{Origin: o}, nil
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "\\;") {
			return Prefix{}, fmt.Errorf("%q: write a plain path, without empty or dot segments, backslash or semicolon", s)
		}
	}
	return Prefix{Origin: o, Path: "/" + path + "/"}, nil
}

// ParseEndpoint reads the full address of something that a CAS server offers:
// https, or http on a loopback address, without user and fragment. It returns
// the address with scheme and host in canonical form and the rest as it is.
func ParseEndpoint(s string) (string, error) {
	o, u, err := parse(s)
	switch {
	case err != nil:
		return "", err
	case o.scheme != "https" && !o.Loopback():
		return "", fmt.Errorf("%q is not encrypted, and tickets and names would travel in clear: write https:// (http:// is for localhost)", s)
	}
	endpoint := o.String() + u.EscapedPath()
	if hasQuery(u) {
		endpoint += "?" + u.RawQuery
	}
	return endpoint, nil
}

// ParseBase reads the base address of a CAS server, to which /login and the like
// are added: an endpoint without query. It returns it without a final slash.
func ParseBase(s string) (string, error) {
	base, err := ParseEndpoint(s)
	if err != nil {
		return "", err
	}
	if strings.Contains(base, "?") {
		return "", fmt.Errorf("%q has a query: write only the base, and what the login needs besides as login parameters", s)
	}
	return strings.TrimRight(base, "/"), nil
}
