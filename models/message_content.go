package models

// MessageContent is what a message holds, as the API's union shows it.
type MessageContent interface{ IsMessageContent() }

// The members of MessageContent.
type (
	TextContent struct{ Text string }
	// MediaContent is an image, voice or video.
	MediaContent struct {
		Kind           ContentKind
		MediaRef       string
		ImageURL       *string
		RecognizedText *string
	}
	LocationContent struct {
		Latitude, Longitude float64
		Label               *string
	}
	LinkContent struct {
		Title       string
		Description *string
		URL         string
	}
	UnsupportedContent struct{ Kind ContentKind }
)

// IsMessageContent marks the members of the union.
func (TextContent) IsMessageContent()        {}
func (MediaContent) IsMessageContent()       {}
func (LocationContent) IsMessageContent()    {}
func (LinkContent) IsMessageContent()        {}
func (UnsupportedContent) IsMessageContent() {}

// Content is what the message holds.
func (m *Message) Content() MessageContent {
	switch m.Kind {
	case ContentText:
		return TextContent{Text: m.Text}
	case ContentImage, ContentVoice, ContentVideo:
		return MediaContent{Kind: m.Kind, MediaRef: m.MediaRef, ImageURL: optional(m.URL), RecognizedText: optional(m.Text)}
	case ContentLocation:
		return LocationContent{Latitude: m.Latitude, Longitude: m.Longitude, Label: optional(m.Text)}
	case ContentLink:
		return LinkContent{Title: m.Text, Description: optional(m.Detail), URL: m.URL}
	case ContentUnsupported:
	}
	return UnsupportedContent{Kind: ContentUnsupported}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
