package transport

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
	mediaEvents   = "text/event-stream"
)

// prefersEvents reports whether a client would rather have an event stream than one response: it names text/event-stream, and nothing that we
// answer with before it or with a higher quality.
func prefersEvents(accept []string) bool {
	ranges := strings.Join(accept, ",")
	events := matchRanges(mediaEvents, ranges)
	if events.specificity < 3 || events.quality == 0 {
		return false
	}
	for _, offer := range []string{mediaJSON, mediaResponse} {
		if m := matchRanges(offer, ranges); m.quality > 0 && !events.beats(m) {
			return false
		}
	}
	return true
}

// negotiate chooses the media type of the response from the Accept fields of a request (RFC 9110, 12.5.1). ok is false where the client
// accepts neither. Among types of equal quality one that is named wins over one that a wildcard covers, then the one named first; what
// remains equal is application/json, for clients that know nothing else.
func negotiate(accept []string) (media string, ok bool) {
	ranges := strings.Join(accept, ",")
	if strings.TrimSpace(ranges) == "" {
		return mediaJSON, true
	}
	var best match
	for _, offer := range []string{mediaJSON, mediaResponse} {
		if m := matchRanges(offer, ranges); m.quality > 0 && m.beats(best) {
			best, media = m, offer
		}
	}
	return media, media != ""
}

// match is how a media type is covered by an Accept field.
type match struct {
	quality     float64 // 0: not acceptable
	specificity int     // 1 for */*, 2 for type/*, 3 for the type itself
	position    int
}

func (m match) beats(other match) bool {
	if m.quality != other.quality {
		return m.quality > other.quality
	}
	if m.specificity != other.specificity {
		return m.specificity > other.specificity
	}
	return m.specificity == 3 && m.position < other.position
}

// matchRanges finds the most specific range that covers offer: its quality counts, not the best one.
func matchRanges(offer, ranges string) match {
	var found match
	for i, field := range strings.Split(ranges, ",") {
		name, params, err := mime.ParseMediaType(field)
		if err != nil {
			continue
		}
		specificity := 0
		switch name {
		case offer:
			specificity = 3
		case "application/*":
			specificity = 2
		case "*/*":
			specificity = 1
		}
		if specificity <= found.specificity || !isUTF8(params) {
			continue
		}
		quality := 1.0
		if q, has := params["q"]; has {
			if quality, err = strconv.ParseFloat(q, 64); err != nil || !(quality >= 0 && quality <= 1) {
				continue
			}
		}
		found = match{quality: quality, specificity: specificity, position: i}
	}
	return found
}

// isJSONRequest reports whether a body is application/json in UTF-8, as it is. RFC 8259 leaves no other encoding to JSON.
func isJSONRequest(header http.Header) bool {
	name, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || name != mediaJSON || !isUTF8(params) {
		return false
	}
	encoding := header.Get("Content-Encoding")
	return encoding == "" || strings.EqualFold(encoding, "identity")
}

func isUTF8(params map[string]string) bool {
	charset, has := params["charset"]
	return !has || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
