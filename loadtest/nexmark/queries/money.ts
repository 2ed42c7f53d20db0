const EUROS_A_DOLLAR = 0.908

/** The rate that all implementations use. */
export const euros = (dollars: number): number => EUROS_A_DOLLAR * dollars
