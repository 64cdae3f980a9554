/** IP protocol numbers that connections can have. */
export const TCP = 6;
export const UDP = 17;
