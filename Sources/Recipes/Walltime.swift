import Support

/// How long a job may run, as batch systems write it.
public enum Walltime {
    /// Seconds of `hours:minutes:seconds`, `minutes:seconds`, `days-hours`, `days-hours:minutes` or
    /// `days-hours:minutes:seconds`, the forms
    /// of Slurm. Its sixth, a number of minutes, is refused: other systems take it for seconds.
    public static func seconds(_ text: String) throws(Failure) -> Double {
        let halves = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let fields = halves[halves.count - 1].split(separator: ":", omittingEmptySubsequences: false)
        let days = halves.count == 2 ? number(halves[0]) : 0
        let numbers = fields.compactMap(number)
        guard let days, numbers.count == fields.count, fields.count <= 3 else {
            throw Failure(
                .usage, "--walltime '\(text)' is not of the form HH:MM:SS",
                remedy: "Other forms: MM:SS, D-HH, D-HH:MM, D-HH:MM:SS.")
        }
        guard fields.count > 1 || halves.count == 2 || numbers[0] == 0 else {
            throw Failure(
                .usage,
                "--walltime '\(text)' does not say of what: a bare number is minutes to Slurm and seconds to others",
                remedy: "For minutes write \(clock(numbers[0], 60)), for seconds \(clock(numbers[0], 1)).")
        }
        // With days the first field is hours, without them the last is seconds.
        let units: [Double] = halves.count == 2 || fields.count == 3 ? [3600, 60, 1] : [60, 1]
        let seconds = zip(numbers, units).reduce(days * 86_400) { $0 + $1.0 * $1.1 }
        guard seconds > 0 else {
            throw Failure(.usage, "--walltime '\(text)' is no time", remedy: "Leave it out for no limit.")
        }
        return seconds
    }

    /// Of digits alone; as a Double, in which no sum overflows.
    private static func number(_ field: Substring) -> Double? {
        !field.isEmpty && field.utf8.allSatisfy { (48 ... 57).contains($0) } ? Double(field) : nil
    }

    private static func clock(_ count: Double, _ unit: Double) -> String {
        guard let whole = Int(exactly: count * unit), whole < 1 << 40 else { return "HH:MM:SS" }
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(whole / 3600)):\(two(whole / 60 % 60)):\(two(whole % 60))"
    }
}
