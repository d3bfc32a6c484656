package models

// InboundKind is what a follower did, as a channel tells it.
type InboundKind string

// The kinds of inbound items.
const (
	InboundFollow   InboundKind = "FOLLOW"   // started to follow the account, perhaps through a QR code or an ad
	InboundUnfollow InboundKind = "UNFOLLOW" // stopped following
	InboundScan     InboundKind = "SCAN"     // a follower scanned a QR code of the account
	InboundMenu     InboundKind = "MENU"     // clicked a menu item that opens the reply window (rule G2)
	InboundMessage  InboundKind = "MESSAGE"  // wrote
	InboundPayment  InboundKind = "PAYMENT"  // paid, as the merchant reports it (rule G2)
	InboundOther    InboundKind = "OTHER"    // anything else: recorded, changes nothing
)

// InboundKinds is every kind.
func InboundKinds() []InboundKind {
	return []InboundKind{InboundFollow, InboundUnfollow, InboundScan, InboundMenu, InboundMessage, InboundPayment, InboundOther}
}

// Inbound is one thing a channel tells us about one follower. The wechat callback and the
// sandbox make the same values, and services.Inbound treats them alike (rules K1, K2).
type Inbound struct {
	Kind   InboundKind
	OpenID string // of the follower; 1 to limits.OpenIDBytes bytes
	// DedupKey tells repeats of one item apart from new ones within the account: the platform's
	// message id, or sender, time and event. 1 to 191 bytes.
	DedupKey string
	// At is when it happened by the channel's clock; it dates the reply window.
	At Time
	// Scene is the scene key of the QR code of a FOLLOW or SCAN, without any prefix; empty if none.
	Scene string
	// Ad says that a FOLLOW came through an advertisement (rule E3); nil: it did not.
	Ad *InboundAd
	// Name is the channel's own name of the event, e.g. "CLICK" or "TEMPLATESENDJOBFINISH"; kept
	// with the record. Empty for messages.
	Name string
	// Content is what the customer wrote; set exactly when Kind is MESSAGE.
	Content *InboundContent
}

// InboundAd is the advertisement that somebody followed through.
type InboundAd struct {
	// Group is the group that it names; zero: none, and the account's own setting says whose it is.
	Group Key
}

// InboundContent is the content of a customer's message. Texts are valid UTF-8.
type InboundContent struct {
	Kind ContentKind
	Text string // TEXT: the text. VOICE: the recognised text. LOCATION: the label. LINK: the title.
	// MediaRef is the channel's reference to an image, voice or video.
	MediaRef string
	// URL is where the platform shows the image (IMAGE), or the link's target (LINK).
	URL string
	// Description is a link's description.
	Description string
	// Latitude and Longitude are a location's, in degrees.
	Latitude, Longitude float64
}

// ContentKind is the kind of a message's content (rule G1).
type ContentKind string

// The kinds of content. Advisors send TEXT; customers send any.
const (
	ContentText        ContentKind = "TEXT"
	ContentImage       ContentKind = "IMAGE"
	ContentVoice       ContentKind = "VOICE"
	ContentVideo       ContentKind = "VIDEO"
	ContentLocation    ContentKind = "LOCATION"
	ContentLink        ContentKind = "LINK"
	ContentUnsupported ContentKind = "UNSUPPORTED"
)

// Valid reports whether k is one of the kinds.
func (k ContentKind) Valid() bool {
	switch k {
	case ContentText, ContentImage, ContentVoice, ContentVideo, ContentLocation, ContentLink, ContentUnsupported:
		return true
	}
	return false
}
