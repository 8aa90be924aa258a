package protocol

import "strings"

// TicketShape tells whether ticket has the form of a service ticket: ST- and
// more, at most 512 bytes of printable ASCII less blank < > " ' & and #.
//
// CAS 3.0 §3.7 allows letters, digits and hyphen in up to 256 bytes. Servers
// add dots, underscores, equals signs, colons, slashes and percent signs; what
// is left out here has no place in a ticket and would need care in XML or HTML.
func TicketShape(ticket string) bool {
	if !strings.HasPrefix(ticket, "ST-") || len(ticket) < 4 || len(ticket) > 512 {
		return false
	}
	for i := range len(ticket) {
		if c := ticket[i]; c <= ' ' || c > '~' || strings.IndexByte(`<>"'&#`, c) >= 0 {
			return false
		}
	}
	return true
}

// IsProxyTicket tells whether ticket claims to be a proxy ticket (CAS 3.0 §3.2).
func IsProxyTicket(ticket string) bool { return strings.HasPrefix(ticket, "PT-") }
