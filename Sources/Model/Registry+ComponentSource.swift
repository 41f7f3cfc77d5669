package import Host

extension Registry: ComponentSource {}
