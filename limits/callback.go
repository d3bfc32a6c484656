package limits

import "time"

// Callbacks of the wechat channel. Source: rule K1.
const (
	// CallbackBodyBytes is the largest callback body, in bytes; WeChat's are below 20 KiB.
	CallbackBodyBytes = 64 << 10
	// CallbackTime is how long a callback may take before it is answered 503, so that the
	// platform, which waits 5 s, sends it again.
	CallbackTime = 4500 * time.Millisecond
	// AppSecretMin is how many characters an app secret has at least. Source: rule A4.
	AppSecretMin = 16
	// AppSecretMax is how many characters an app secret has at most. Source: rule A4.
	AppSecretMax = 64
	// AccessTokenEarly is how long before its end an access token is renewed: the platform then takes the
	// old one and the new one. Source: WeChat official account documentation: stable access token.
	AccessTokenEarly = 5 * time.Minute
	// AccessTokenLook is how often it is looked whether another node has the token it asks for.
	AccessTokenLook = 100 * time.Millisecond
	// AccessTokenAgain is when a token that is still good is tried to be renewed again.
	AccessTokenAgain = 30 * time.Second
	// ChannelRecordTime is how long a call of a platform may take, beside ChannelTime, to record a token or a fault.
	ChannelRecordTime = 2 * time.Second
	// AccessTokenBytes is the longest access token that can be kept.
	AccessTokenBytes = 1_024
	// ChannelBodyBytes is the largest answer of a platform that is read, in bytes: 10,000 openids take half of it.
	ChannelBodyBytes = 1 << 20
	// ChannelRefused is how long a part of a platform is not asked that refuses the account as a whole.
	ChannelRefused = time.Minute
	// ChannelFaultGap is how soon after another the same refusal counts as the same fault.
	ChannelFaultGap = time.Hour
	// ChannelWorkers is of how many accounts a node asks the platforms at the same time, beside jobs and messages.
	ChannelWorkers = 8
	// ChannelWorkPoll is how often it is looked for what is to be asked that nobody woke the node for.
	ChannelWorkPoll = 5 * time.Second
	// ChannelWorkLease is for how long a node has what is to be asked of one part of an account's platform: longer than CodesTold calls
	// and their recording.
	ChannelWorkLease = 3 * time.Minute
	// ChannelWorkTurn is how often in a row one account's platform is asked while others wait.
	ChannelWorkTurn = 16
	// ChannelWorkIdle is when a node looks again at what it cannot ask, and another can.
	ChannelWorkIdle = time.Hour
	// ServiceAgentsAge is how old what is known of an account's customer-service agents may be. Source: rule B2.
	ServiceAgentsAge = time.Minute
	// CallbackRotation is how long replaced callback credentials are still accepted. Source: rule A4.
	CallbackRotation = 7 * 24 * time.Hour
	// CallbackSkew is how far a callback's timestamp may be from our clock.
	CallbackSkew = time.Hour
)
