extension Chart {
    /// The chart as a document of its own.
    var svg: String {
        let area = area
        var out = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.width) \(Self.height)" font-family="sans-serif" font-size="13">
            <rect width="100%" height="100%" fill="#ffffff"/>
            <text x="\(Self.width / 2)" y="24" text-anchor="middle" font-size="15">\(Self.escaped(title))</text>

            """
        for tick in values.ticks {
            let y = Self.text(y(tick))
            out +=
                "<line x1=\"\(Self.text(area.x0))\" x2=\"\(Self.text(area.x1))\" y1=\"\(y)\" y2=\"\(y)\" stroke=\"#dddddd\"/>\n"
            out +=
                "<text x=\"\(Self.text(area.x0 - 8))\" y=\"\(Self.text(self.y(tick) + 4))\" text-anchor=\"end\">\(values.label(tick))</text>\n"
        }
        for tick in steps.ticks {
            let x = Self.text(x(tick))
            out +=
                "<line y1=\"\(Self.text(area.y0))\" y2=\"\(Self.text(area.y1))\" x1=\"\(x)\" x2=\"\(x)\" stroke=\"#eeeeee\"/>\n"
            out +=
                "<text x=\"\(x)\" y=\"\(Self.text(area.y1 + 20))\" text-anchor=\"middle\">\(steps.label(tick))</text>\n"
        }
        for (points, color) in [(points, "#a8c8e8"), (smooth, "#1f6fb4")] {
            let list = points.map { "\(Self.text(x($0.step))),\(Self.text(y($0.value)))" }.joined(separator: " ")
            out += "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\" points=\"\(list)\"/>\n"
        }
        return out + "</svg>\n"
    }

    /// A tenth of a pixel is enough.
    private static func text(_ value: Double) -> String { String((value * 10).rounded() / 10) }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            default: out.append(character)
            }
        }
        return out
    }
}
