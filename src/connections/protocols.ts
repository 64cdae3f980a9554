/** IP protocol numbers: of connections, and of the errors about them. */
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
