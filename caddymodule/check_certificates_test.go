package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// certificateOf is a server's certificate, good unless something is set.
type certificateOf struct {
	from, until time.Duration // from now; 0: 60 days ago, in 60 days
	name        string        // "": the server's own
	selfSigned  bool
	untrusted   bool // the client does not have the authority
	leafOnly    bool // signed by an intermediate authority that is not sent

	authority *x509.Certificate
}

func (c *certificateOf) serve(t *testing.T, name string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	if c.from == 0 {
		c.from = -60 * 24 * time.Hour
	}
	if c.until == 0 {
		c.until = 60 * 24 * time.Hour
	}
	if c.name != "" {
		name = c.name
	}
	root, rootKey := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Autorité d’essai"}, IsCA: true, BasicConstraintsValid: true}, nil, nil, -time.Hour, 24*365*time.Hour)
	c.authority = root
	signer, signerKey := root, rootKey
	if c.leafOnly {
		signer, signerKey = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Intermédiaire d’essai"}, IsCA: true, BasicConstraintsValid: true}, root, rootKey, -time.Hour, 24*365*time.Hour)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	if c.selfSigned {
		signer, signerKey = nil, nil
	}
	leaf, key := issue(t, template, signer, signerKey, c.from, c.until)
	sent := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	if c.untrusted {
		sent.Certificate = append(sent.Certificate, root.Raw)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{sent}}
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server
}

// issue makes a certificate; without a signer it signs itself.
func issue(t *testing.T, template, signer *x509.Certificate, signerKey *ecdsa.PrivateKey, from, until time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(from), time.Now().Add(until)
	if signer == nil {
		signer, signerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signerKey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// roots are what the client trusts.
func (c *certificateOf) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if !c.untrusted {
		pool.AddCert(c.authority)
	}
	return pool
}

// pool is roots as cas_trust_pool; nil, which is the system's, where it is to be
// unknown.
func (c *certificateOf) pool(t *testing.T) json.RawMessage {
	t.Helper()
	if c.untrusted {
		return nil
	}
	raw, err := json.Marshal(map[string]any{"provider": "inline", "trusted_ca_certs": []string{base64.StdEncoding.EncodeToString(c.authority.Raw)}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const oneDay = 24 * time.Hour

func TestCheckCertificates(t *testing.T) {
	for _, test := range []struct {
		name   string
		cert   certificateOf
		kind   string // of the reason, behind public_ or cas_
		result result
		public map[language]string
		cas    map[language]string
	}{
		{"good", certificateOf{}, "certificate", good, map[language]string{en: "59 more days"}, map[language]string{fr: "encore 59 jours"}},
		{"ten days left of ninety", certificateOf{from: -80 * oneDay, until: 10*oneDay + time.Hour}, "ends", doubtful,
			map[language]string{en: "expires in 10 days", fr: "journal de Caddy"}, map[language]string{"ENT": "Pourriez-vous le renouveler"}},
		{"two days left of ninety", certificateOf{from: -88 * oneDay, until: 2*oneDay + time.Hour}, "ends", bad,
			map[language]string{en: "expires in 2 days", fr: "dans 2 jours"}, map[language]string{"ENT": "Pourriez-vous le renouveler"}},
		{"five days left of six", certificateOf{from: -oneDay, until: 5*oneDay + time.Hour}, "certificate", good, nil, nil},
		{"expired", certificateOf{from: -90 * oneDay, until: -oneDay}, "expired", bad,
			map[language]string{en: "replace them", fr: "remplacez-les"}, map[language]string{"ENT": "a expiré le"}},
		{"not yet good", certificateOf{from: oneDay, until: 90 * oneDay}, "not_yet", bad,
			map[language]string{en: "clock", fr: "à l’heure"}, map[language]string{en: "clock", fr: "à l’heure"}},
		{"another's", certificateOf{name: "www.exemple.fr"}, "other_name", bad,
			map[language]string{en: "port forwarding", fr: "www.exemple.fr"}, map[language]string{en: "cas_url", fr: "pare-feu", "ENT": "celui de www.exemple.fr"}},
		{"self-signed", certificateOf{selfSigned: true}, "self_signed", bad,
			map[language]string{en: "tls internal", fr: "auto-signé"}, map[language]string{en: "cas_trust_pool", fr: "cas_trust_pool", "ENT": "auto-signé"}},
		{"unknown authority", certificateOf{untrusted: true}, "authority", bad,
			map[language]string{en: "tls internal", fr: "autorité"}, map[language]string{en: "cas_trust_pool", fr: "cas_trust_pool", "ENT": "signé par"}},
		{"without its intermediate", certificateOf{leafOnly: true}, "chain", bad,
			map[language]string{en: "whole chain", fr: "toute la chaîne"}, map[language]string{en: "cas_trust_pool", "ENT": "chaîne complète"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := test.cert, test.cert
			(&scene{cert: &ours, step: "public_certificate", result: test.result, reason: "public_" + test.kind, says: test.public}).test(t)
			(&scene{casCert: &theirs, step: "cas_certificate", result: test.result, reason: "cas_" + test.kind, says: test.cas}).test(t)
		})
	}
}
