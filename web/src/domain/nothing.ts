/** The id that nothing has. An id in an address that cannot be one is read as this, so that its page says that it does not exist. */
export const NOTHING = "00000000-0000-0000-0000-000000000000";
