"""The list of all channels. Each line is one channel; a channel that the settings leave out gives no key."""

from rollback.delivery.channel import DeliveryChannel

CHANNELS: tuple[DeliveryChannel, ...] = ()
