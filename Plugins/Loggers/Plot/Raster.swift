import CPNG
import PluginKit

/// A picture of 8-bit RGB pixels.
struct Raster {
    typealias Color = (red: Double, green: Double, blue: Double)
    let width: Int
    let height: Int
    private(set) var pixels: [UInt8]

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
        pixels = [UInt8](repeating: 255, count: 3 * width * height)
    }

    /// Lays `color` over a pixel with the given opacity.
    mutating func blend(_ x: Int, _ y: Int, _ color: Color, _ opacity: Double) {
        guard (0..<width).contains(x), (0..<height).contains(y), opacity > 0 else { return }
        let share = min(1, opacity)
        for (channel, wanted) in [color.red, color.green, color.blue].enumerated() {
            let at = 3 * (y * width + x) + channel
            pixels[at] = UInt8((Double(pixels[at]) * (1 - share) + wanted * share).rounded())
        }
    }

    /// A straight line with soft edges: opacity falls over the pixel at the border.
    mutating func line(_ x0: Double, _ y0: Double, _ x1: Double, _ y1: Double, width: Double, _ color: Color) {
        let (dx, dy) = (x1 - x0, y1 - y0)
        let length = dx * dx + dy * dy
        let reach = width / 2 + 1
        let columns = Int(min(x0, x1) - reach)...Int(max(x0, x1) + reach)
        let rows = Int(min(y0, y1) - reach)...Int(max(y0, y1) + reach)
        for y in rows {
            for x in columns {
                let (px, py) = (Double(x) + 0.5 - x0, Double(y) + 0.5 - y0)
                let along = length > 0 ? min(1, max(0, (px * dx + py * dy) / length)) : 0
                let (ex, ey) = (px - along * dx, py - along * dy)
                blend(x, y, color, width / 2 + 0.5 - (ex * ex + ey * ey).squareRoot())
            }
        }
    }

    /// Text in a face of 5 by 7 dots, each `size` pixels wide.
    mutating func text(_ text: String, x: Int, y: Int, size: Int, _ color: Color) {
        for (place, character) in text.enumerated() {
            for (row, bits) in DotFont.rows(character).enumerated() {
                for column in 0..<5 where bits & (16 >> column) != 0 {
                    for dy in 0..<size {
                        for dx in 0..<size {
                            blend(x + (6 * place + column) * size + dx, y + row * size + dy, color, 1)
                        }
                    }
                }
            }
        }
    }

    static func textWidth(_ text: String, size: Int) -> Int { max(0, 6 * text.count - 1) * size }

    func write(png path: String) throws {
        guard cpng_write_rgb(path, pixels, UInt32(width), UInt32(height)) != 0 else {
            throw PluginError(.io, "cannot be written by libpng", at: path)
        }
    }
}

extension Chart {
    /// The chart as pixels.
    var raster: Raster {
        var raster = Raster(width: Self.width, height: Self.height)
        let ink: Raster.Color = (40, 40, 40)
        let area = area
        raster.text(title, x: (Self.width - Raster.textWidth(title, size: 2)) / 2, y: 12, size: 2, ink)
        for tick in values.ticks {
            raster.line(area.x0, y(tick), area.x1, y(tick), width: 1, (221, 221, 221))
            let label = values.label(tick)
            raster.text(
                label, x: Int(area.x0) - 8 - Raster.textWidth(label, size: 2), y: Int(y(tick)) - 7, size: 2, ink)
        }
        for tick in steps.ticks {
            raster.line(x(tick), area.y0, x(tick), area.y1, width: 1, (238, 238, 238))
            let label = steps.label(tick)
            raster.text(
                label, x: Int(x(tick)) - Raster.textWidth(label, size: 2) / 2, y: Int(area.y1) + 10, size: 2, ink)
        }
        for (points, color) in [(points, (168.0, 200.0, 232.0)), (smooth, (31.0, 111.0, 180.0))] {
            for (from, to) in zip(points, points.dropFirst()) {
                raster.line(x(from.step), y(from.value), x(to.step), y(to.value), width: 2, color)
            }
        }
        return raster
    }
}
