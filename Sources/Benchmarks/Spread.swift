import Foundation
import Support

/// What is said of times that were measured several times.
struct Spread {
    let median: Double
    let minimum: Double
    /// Between them lies the middle half of the values.
    let quartiles: [Double]

    init(_ values: [Double]) {
        let sorted = values.sorted()
        median = sorted.quantile(0.5)
        minimum = sorted[0]
        quartiles = [sorted.quantile(0.25), sorted.quantile(0.75)]
    }
}

func median(_ values: [Double]) -> Double { values.sorted().quantile(0.5) }

/// The same as a table shows it, in milliseconds.
func timesText(median: Double, minimum: Double, quartiles: [Double]) -> String {
    String(
        format: "median %9.3f ms   minimum %9.3f ms   quartiles %9.3f – %9.3f ms", median * 1e3, minimum * 1e3,
        quartiles[0] * 1e3, quartiles[1] * 1e3)
}
