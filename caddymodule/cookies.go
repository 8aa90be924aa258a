package caddymodule

import "net/http"

// cookieStyle is what our cookies have in common.
type cookieStyle struct {
	secure   bool // an https public_url: the names have the prefix __Host- (RFC 6265bis §4.1.3)
	sameSite http.SameSite
}

// dress adds the attributes to a cookie that has but name, value and age.
func (s cookieStyle) dress(c *http.Cookie) *http.Cookie {
	c.Path, c.HttpOnly, c.Secure, c.SameSite = "/", true, s.secure, s.sameSite
	return c
}
