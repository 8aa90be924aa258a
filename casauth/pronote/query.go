package pronote

import (
	"net/url"
	"strings"
)

// mobileApp is the constant by which PRONOTE's mobile app says that it brings a
// token of PRONOTE's own and wants no delegation. It is public and proves
// nothing.
const mobileApp = "A6ABB224-12DD-4E31-AD3E-8A39A1C2C335"

// DirectLogin reports whether a query asks for PRONOTE's own login form instead
// of the delegation: it holds the pair login=true, spelled so, and no other
// pair of that name.
func DirectLogin(rawQuery string) bool {
	value, once := only(rawQuery, "login")
	return once && value == "true"
}

// MobileApp reports whether a request bears one of the marks by which PRONOTE's
// mobile app and the libraries that imitate it ask for token login: the query
// pair bydlg with the app's constant, or the cookie appliMobile=1. cookies are
// the values of the Cookie header fields. It means something only on a [Page]
// whose path ends in ".html", and proves nothing about the client: let through
// for it, a request must bear no identity.
func MobileApp(rawQuery string, cookies []string) bool {
	if value, once := only(rawQuery, "bydlg"); once && strings.EqualFold(value, mobileApp) {
		return true
	}
	for _, line := range cookies {
		for more := true; more; {
			var pair string
			pair, line, more = strings.Cut(line, ";")
			if strings.TrimSpace(pair) == "appliMobile=1" {
				return true
			}
		}
	}
	return false
}

// only returns the raw value of the one pair of that name, and whether there is
// exactly one. A name that is spelled in another case or with percent signs
// counts against it, for PRONOTE might read it.
func only(rawQuery, name string) (value string, once bool) {
	count := 0
	for more := rawQuery != ""; more; {
		var pair string
		pair, rawQuery, more = strings.Cut(rawQuery, "&")
		n, v, _ := strings.Cut(pair, "=")
		if n == name {
			value, once = v, true
		}
		if decoded, err := url.QueryUnescape(n); err == nil && strings.EqualFold(decoded, name) {
			count++
		}
	}
	return value, once && count == 1
}
