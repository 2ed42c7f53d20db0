export { type DriverOptions, type Output, TestDriver } from "./driver.ts"
