package transport

import (
	"io"
	"net/http"
	"time"
)

// paced reads a body that must come at a rate: each reading ends with os.ErrDeadlineExceeded when all that came so far, at that rate, is used up,
// and so is the grace. Where the connection has no such times, as under a recorder of tests, there are none.
type paced struct {
	body        io.Reader
	from        *http.ResponseController
	began       time.Time
	rate        int64         // bytes a second
	grace, most time.Duration // most: in all; 0: no such bound
	n           int64         // bytes that came
	isWhole     bool
}

// Read implements io.Reader.
func (p *paced) Read(to []byte) (int, error) {
	earned := time.Duration(float64(p.n) / float64(p.rate) * float64(time.Second))
	after := p.grace + earned
	if p.most > 0 {
		after = min(after, p.most)
	}
	_ = p.from.SetReadDeadline(p.began.Add(after))
	n, err := p.body.Read(to)
	p.n += int64(n)
	p.isWhole = p.isWhole || err == io.EOF // the sentinel itself.
	return n, err
}

// end lifts the deadline of a body that came whole: it would end the operation, too, which has a time of its own. Behind one that did not, nothing more is read
// for longer than it had.
func (p *paced) end() {
	if p.isWhole {
		_ = p.from.SetReadDeadline(time.Time{})
	}
}
