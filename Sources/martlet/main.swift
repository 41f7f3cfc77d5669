import Glibc
import Host

let status = CommandLineTool.run(Array(CommandLine.arguments.dropFirst()))
OpeningWatch.stop()
exit(status)
