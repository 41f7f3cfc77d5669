"""Renders small templates with transformers' own Jinja environment; writes Tests/TemplateTests/Goldens/jinja.json.

    python Tests/Oracles/jinja_goldens.py        (transformers 5, jinja2 3.1.6)

Each case is a template, its variables, and the text, the characters that generation blocks wrote, or the fact that
it fails. strftime_now stands at 2025-07-26 09:30:00.
"""
import copy
import datetime
import json
import pathlib

from transformers.utils import chat_template_utils as chat

V = {
    "n": 7, "m": -3, "x": 2.5, "s": "Hello, Wörld", "t": "  pad\t\n", "e": "", "none_": None, "yes": True,
    "list": [3, 1, 2], "words": ["beta", "Alpha", "gamma", "alpha"], "nested": {"a": {"b": [10, {"c": "deep"}]}},
    "d": {"b": 2, "a": 1, "C": 3}, "html": "<a href=\"x\">'&'</a>", "uni": "ǅ straße ΣΑΣ İ 你好 👩‍👩‍👧 é",
    "users": [{"name": "Zoe", "age": 31, "city": "Rome"}, {"name": "adam", "age": 25, "city": "rome"},
              {"name": "Bea", "age": 31}],
    "lines": "one\ntwo\r\nthree\u2028four\n", "big": 12345678901234567, "items_": {"items": 1, "get": 2, "x": [1]},
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo é"},
                 {"role": "user", "content": "Bye"}],
}

EXPRESSIONS = r"""
1 + 2 * 3 ; 7 // 2 ; -7 // 2 ; 7 % -3 ; -7 % 3 ; 7.5 // 2 ; -7.5 % 2 ; 2 ** 10 ; 2 ** -1 ; 2 ** 3 ** 2 ; -2 ** 2
7 / 2 ; 6 / 3 ; 1 / 0 ; 1 // 0 ; 1 % 0 ; 1.0 / 0 ; true + true ; 1 + true ; 10 - 2.5 ; 3 * 'ab' ; 'ab' * 0 ; [1] * 2
'a' + 1 ; 1 + 'a' ; [1] + [2] ; [1] + (2,) ; (1,) + (2, 3) ; 'a' ~ 1 ~ none ~ true ~ 1.0 ; 'a' ~ missing ; missing + 'a'
1 < 2 < 3 ; 1 < 3 < 2 ; 1 == 1.0 ; true == 1 ; 'a' < 'b' ; 'Z' < 'a' ; 'é' > 'z' ; [1, 2] < [1, 3] ; (1,) < (1, 0) ; 'a' < 1
none == none ; none == missing ; missing == missing ; missing == other ; [] == () ; {} == {} ; {'a': 1} == {'a': 1.0}
1 in [1, 2] ; 1 not in [2] ; 'b' in d ; 'ell' in s ; '' in '' ; 1 in 'a' ; 2 in d.values() ; 3 in range(3) ; 'x' in missing
not 1 ; not [] ; not missing ; 1 and 2 ; 0 and 2 ; 0 or 'x' ; '' or [] or 'z' ; 1 if 0 else 2 ; 1 if 0 ; (1 if 0) is defined
'yes' if none_ is none else 'no' ; n if n > 5 else m if m < 0 else 0 ; -n ; +m ; --n ; - x ; -'a'
'%s and %d' % ('a', 3) ; '%05.2f|%-6s|%+d|%x|%X|%o|%e|%g|%%' % (3.14159, 'ab', 5, 255, 255, 8, 12345.678, 0.0001)
'%s' % 'x' ; '%s' % [1, 'a'] ; '%r' % 'q' ; '%(a)s-%(b)s' % d ; '%s' % (1, 2) ; '%d' % 'a' ; '%s %s' % ('a',) ; '%c%c' % ('a', 98)
'%5s|%-5s|%.2s' % ('ab', 'ab', 'abc') ; '%3d|%-3d|%03d' % (5, 5, 5) ; '%*d' % (5, 42) ; '%i' % 3.99 ; '%5.1f' % 2.25 ; '%s' % none
'{} {}'.format(1, 'a') ; '{0}{1}{0}'.format('x', 'y') ; '{a} {b}'.format(a=1, b=[2]) ; '{:>5}|{:<5}|{:^5}|'.format('a', 'b', 'c')
'{:05d} {:,} {:+d} {:x} {:#x} {:b} {:e}'.format(42, 1234567, 3, 255, 255, 5, 1500.0) ; '{:.3f} {:8.2f}|{:<8.1f}|'.format(1/3, 2.5, 3.25)
'{:%}'.format(0.25) ; '{:.1%}'.format(0.256) ; '{!r} {!s}'.format('a', 'b') ; '{{}}'.format() ; '{:*^9}'.format('mid') ; '{:=+7d}'.format(-42)
'{0[a]} {1.name}'.format(d, users[0]) ; '{0[2]}'.format(list) ; '{:{w}}'.format('a', w=4) ; '{'.format(1) ; '{1}'.format(1) ; '{x}'.format(y=1)
'{:g} {:g} {:g}'.format(1e10, 0.00001, 100000) ; '{:.0f} {:.0f} {:.0f}'.format(0.5, 1.5, 2.5) ; '{:_}'.format(1234567) ; '{:10}|'.format(3) ; '{:s}'.format(3)
1.0 ; 1e16 ; 1e15 ; 123456789012345680.0 ; 0.0001 ; 0.00001 ; 1e100 ; 1.5e-7 ; 100.0 ; 3.14 ; 1e22 ; 0.1 + 0.2 ; 5e-324 ; 1.7976931348623157e308 ; -0.0
1_000 ; 0x1F ; 0b101 ; 0o17 ; 1e3 ; 1.5E+3 ; 2e-2 ; 1_0.5_0
[1, 'a', none, true, 1.5, [2], (3,), {'k': 'v'}] ; () ; (1,) ; {} ; {'a': [1]} ; 'it\'s' ~ ['it\'s', 'say "x"', 'both \' "'] ; ['\n\t\\\x07é\u200b']
list[0] ; list[-1] ; list[5] is defined ; list[1:] ; list[:-1] ; list[::-1] ; list[::2] ; list[-2:] ; list[5:] ; list[1:2:1] ; list[2:0:-1] ; list['a'] is defined
s[0] ; s[-1] ; s[1:4] ; s[::-1] ; s[100:] ; s[99] is defined ; uni[-1] ; (1, 2, 3)[1:] ; range(10)[2:5] ; range(10)[3] ; s[:none] ; list[::0] ; list['a':]
nested.a.b[1].c ; nested['a']['b'][0] ; nested.a.b.1.c ; nested.zz is defined ; nested.zz.yy ; missing.x ; none_.x is defined ; n.real is defined
items_.items is defined ; items_['items'] ; items_.get('x') ; items_.get('zz') ; items_.get('zz', 5) ; items_.x ; items_['keys'] is callable ; d.items() | list
d.keys() | list ; d.values() | list ; d.items() ; d.keys() ; d | list ; d | length ; d.copy() ; d.a ; d['zz'] is defined ; d.pop('a') ; d.update({}) ; d.clear is defined
list.append(1) ; list.index(2) ; list.count(1) ; list.copy() ; list.index(9) ; list.sort() ; (1, 2).index(2) ; list.pop is defined ; list.reverse
s | upper ; s | lower ; 'hello wORLD-foo (bar)' | title ; 'hello WORLD' | capitalize ; t | trim ; 'xxaxx' | trim('x') ; s | length ; s | count ; uni | upper ; uni | lower
s.upper() ; s.lower() ; 'they\'re bill\'s' .title() ; 'aBc'.swapcase() ; 'ß'.upper() ; 'ΑΣ'.lower() ; 'Σ'.lower() ; 'ab'.capitalize() ; uni.title() ; 'ǆ'.title()
t.strip() ~ '|' ; t.lstrip() ~ '|' ; t.rstrip() ~ '|' ; 'xyaxy'.strip('yx') ; 'aaa'.lstrip('a') ; '\u3000 a\xa0'.strip() ; 'abc'.rstrip('') ; 'a'.strip(none)
'a,b,,c'.split(',') ; 'a,b,c'.split(',', 1) ; ' a  b c '.split() ; ' a  b c '.split(none, 1) ; 'a,b,c'.rsplit(',', 1) ; ' a b  c '.rsplit(none, 1) ; ''.split() ; ''.split(',')
'a'.split('') ; 'aXbXc'.split('X')[-1] ; lines.splitlines() ; lines.splitlines(true) ; 'a-b-c'.partition('-') ; 'a-b-c'.rpartition('-') ; 'abc'.partition('z') ; 'abc'.rpartition('z')
'a.b'.replace('.', '') ; 'aaa'.replace('a', 'b', 2) ; 'abc'.replace('', '-') ; 'abc'.replace('z', 'y') ; ','.join(['a', 'b']) ; ','.join([1]) ; ''.join([]) ; '-'.join('abc')
s.startswith('He') ; s.endswith('ld') ; s.startswith(('x', 'H')) ; s.startswith('l', 2) ; s.endswith('') ; s.startswith(1) ; s.find('l') ; s.find('zz') ; s.rfind('l') ; s.find('l', 4) ; s.index('zz') ; s.count('l') ; s.count('')
'ab'.center(6, '*') ; 'abc'.center(6) ; 'ab'.center(5) ; 'ab'.ljust(4) ~ '|' ; 'ab'.rjust(4) ; '-5'.zfill(4) ; 'a\tb'.expandtabs(4) ; 'prefix-x'.removeprefix('prefix-') ; 'x.txt'.removesuffix('.txt') ; 'ab'.removesuffix('')
'a1'.isalnum() ; '12'.isdigit() ; '²'.isdigit() ; '½'.isnumeric() ; 'ab'.isalpha() ; ' '.isspace() ; 'A'.isupper() ; 'a1'.islower() ; '1'.isupper() ; 'Ab Cd'.istitle() ; 'a_1'.isidentifier() ; 'é'.isascii() ; ''.isalpha() ; '１'.isdecimal() ; '\n'.isprintable()
words | sort ; words | sort(reverse=true) ; words | sort(case_sensitive=true) ; list | sort ; users | sort(attribute='age') | map(attribute='name') | list ; users | sort(attribute='age,name') | map(attribute='name') | list ; [1, 'a'] | sort ; d | sort
words | unique | list ; words | unique(true) | list ; users | unique(attribute='age') | map(attribute='name') | list ; list | min ; list | max ; words | min ; words | max(case_sensitive=true) ; [] | min is defined ; users | max(attribute='age')
list | sum ; users | sum('age') ; [] | sum ; [1.5, 2] | sum ; [1] | sum(start=5) ; ['a'] | sum ; [[1], [2]] | sum(start=[])
list | first ; list | last ; [] | first is defined ; 'abc' | first ; 'abc' | last ; d | first ; list | select | last ; list | select | first ; list | reverse | list ; 'abc' | reverse ; d | reverse | list
list | join(', ') ; words | join ; users | join('-', attribute='name') ; [1, none, missing] | join('|') ; 'abc' | join('.') ; list | join(',', 'x') ; 5 | join
range(5) | select('odd') | list ; range(5) | reject('odd') | list ; [0, 1, '', 'a', none] | select | list ; users | selectattr('city') | map(attribute='name') | list ; users | selectattr('age', '==', 31) | map(attribute='name') | list
users | rejectattr('city', 'defined') | map(attribute='name') | list ; users | selectattr('city', 'equalto', 'Rome') | list | length ; users | selectattr('age', 'gt', 26) | list | length ; list | select('in', [1, 2]) | list ; list | select('divisibleby', 3) | list ; list | select('nope') | list
words | map('upper') | list ; words | map('replace', 'a', 'A') | join(',') ; users | map(attribute='city', default='?') | list ; users | map(attribute='address.street') | list ; words | map('length') | sum ; list | map | list ; users | map('attr', 'name') | list ; words | map('nope') | list
d | dictsort ; d | dictsort(true) ; d | dictsort(by='value') ; d | dictsort(reverse=true) ; d | dictsort(by='x') ; d | items | list ; missing | items | list ; list | items | list ; users | groupby('age') ; users | groupby('city', default='none') | map(attribute='grouper') | list ; (users | groupby('age') | first).list | length
range(7) | batch(3) | list ; range(7) | batch(3, 'x') | list ; range(7) | slice(3) | list ; range(7) | slice(3, 'x') | list ; [] | batch(2) | list
'42' | int ; '42.9' | int ; 'x' | int ; 'x' | int(-1) ; '0x1f' | int(base=16) ; 3.99 | int ; -3.99 | int ; true | int ; none | int ; ' 12 ' | int ; '1_000' | int ; 'ff' | int(0, 16) ; missing | int ; [] | int ; '1e3' | int
'3.5' | float ; 'x' | float ; 'x' | float(1.5) ; 2 | float ; '1e3' | float ; 'inf' | float ; ' -.5 ' | float ; '5.' | float ; none | float
-5 | abs ; -2.5 | abs ; 'a' | abs ; 2.5 | round ; 3.5 | round ; 2.675 | round(2) ; 42.55 | round(1, 'floor') ; 42.51 | round(1, 'ceil') ; 7 | round ; 1234 | round(-2) ; 1.5 | round(method='x') ; 42 | round(1, 'floor')
'abc' | default('x') ; missing | default('x') ; missing | default ; none_ | default('x') ; none_ | default('x', true) ; e | d('x', boolean=true) ; 0 | default(5, true) ; missing.x | default('x') ; nested.q | default('x')
list | string ; 1 | string ; s | string ; none | string ; missing | string ; 'abc' | list ; d | string ; 1.0 | string ; list | tojson ; d | tojson ; html | tojson ; uni | tojson
{'a': [1, {'b': none}], 'c': true, 'd': 1.5, 'e': 1e20} | tojson ; d | tojson(indent=2) ; [] | tojson(indent=2) ; {} | tojson(indent=2) ; {'a': {}, 'b': [[], [1]]} | tojson(indent=4) ; 'a\n"\\\x01\x7f\u2028/' | tojson ; (1, 2) | tojson
d | tojson(sort_keys=true) ; d | tojson(separators=(',', ':')) ; d | tojson(ensure_ascii=true) ; uni | tojson(ensure_ascii=true) ; {1: 2, none: 3, true: 4, 1.5: 5} | tojson ; {(1, 2): 3} | tojson ; missing | tojson ; list | map('string') | tojson ; range(3) | tojson ; d | tojson(indent=0) ; d | tojson(indent='--') ; 1e999 | tojson ; (1e999 - 1e999) | tojson ; d | tojson(2) ; d | tojson(indent=none) ; d | tojson(true, 2)
html | escape ; html | e ; html | safe ; html | forceescape ; (html | safe) + '<' ; '<' + (html | safe) ; (html | e) ~ '<' ; html | safe | upper ; html | striptags ; '<!-- x -->a  &lt;b&gt;' | striptags ; (html | safe) is escaped ; (html | e | e) ; ('%s' | safe) % '<' ; (html | safe | list)[0] ; html | e | list | first is escaped ; 1.5 | center(9) ; [html | safe] ; (html | safe).replace('a', '<')
'a\nb\n\nc' | indent ; 'a\nb\n\nc' | indent(2, true) ; 'a\n\nc' | indent(2, blank=true) ; 'a\nb' | indent('> ') ; 'a\nb\n' | indent ; '' | indent ; 'a' | indent(first=true)
'foo bar baz qux' | truncate(9) ; 'foo bar baz qux' | truncate(9, true) ; 'foo bar baz qux' | truncate(11) ; 'foo bar baz qux' | truncate(11, false, '...', 0) ; 'abc' | truncate(1) ; 'foo bar baz qux quux' | truncate(10, end='…')
'The quick brown fox jumps' | wordwrap(10) ; 'averyveryverylongword and short' | wordwrap(8) ; 'averyveryverylongword and' | wordwrap(8, false) ; 'a b c\nd e f' | wordwrap(3) ; 'well-known half-time' | wordwrap(7) ; 'a b c d' | wordwrap(3, wrapstring='|') ; 'well-known x' | wordwrap(7, break_on_hyphens=false) ; '' | wordwrap(5)
'Hello big world' | wordcount ; '' | wordcount ; 'a b/c?d=é&f' | urlencode ; {'a b': 'c/d', 'e': 1} | urlencode ; 5 | urlencode ; 1000 | filesizeformat ; 1 | filesizeformat ; 123456789 | filesizeformat ; 1048576 | filesizeformat(true) ; 999 | filesizeformat ; '%s-%s' | format(1, 'a') ; '%(a)s' | format(a=1) ; 'x' | center(5) ; 'abc' | replace('b', 1) ; 123 | replace(2, 'x') ; 'aaa' | replace('a', 'b', 2) ; 'abc' | attr('upper') is callable ; d | attr('a') is defined ; users[0] | attr('name') is defined
1 is odd ; 2 is even ; 9 is divisibleby 3 ; 9 is divisibleby(4) ; n is number ; x is number ; true is number ; s is number ; n is integer ; true is integer ; x is float ; n is float ; s is string ; html | safe is string ; none is none ; missing is none ; true is true ; 1 is true ; false is false ; yes is boolean ; 0 is boolean
d is mapping ; list is mapping ; list is sequence ; s is sequence ; d is sequence ; n is sequence ; d.items() is sequence ; missing is sequence ; missing is iterable ; list is iterable ; n is iterable ; none is iterable ; d.items() is iterable ; (list | map('string')) is sequence ; (list | select) is iterable ; range(3) is sequence ; range is callable ; s.upper is callable ; s is callable
'abc' is lower ; 'ABC' is upper ; 'a' is in 'abc' ; 1 is in [1] ; 1 is not in [1] ; 'a' is eq 'a' ; 1 is ne 2 ; 2 is gt 1 ; 2 is ge 2 ; 1 is lt 2 ; 1 is le 0 ; 1 is sameas 1 ; none is sameas none ; [] is sameas [] ; 'upper' is filter ; 'nope' is filter ; 'odd' is test ; missing is not defined ; n is not none ; n is defined and n > 1 ; 1 is nope ; missing is undefined ; 'a' is odd ; 3 is odd and not 3 is even ; 5 is greaterthan 3 ; n is equalto 7
range(3) ; range(1, 4) | list ; range(5, 0, -2) | list ; range(0) | list ; range(3) | length ; range(100001) ; range(1, 2, 0) ; range('a') ; range(2, 9, 3) ; range(10)[::-3] ; range(3) == range(0, 3) ; dict(a=1, b=2) ; dict({'a': 1}, c=2) ; dict([['a', 1], ('b', 2)]) ; dict([1]) ; namespace(a=1).a ; namespace({'a': 1}).a ; namespace(a=1).b is defined ; namespace(_a=1)
strftime_now('%Y-%m-%d') ; strftime_now('%d %b %Y') ; strftime_now('%A, %B %-d, %H:%M:%S %p %j %y %I') ; strftime_now('%%') ; strftime_now('') ; strftime_now('%e %F %T %u %w') ; raise_exception('boom') ; strftime_now('%f %Z|%z')
''.__class__ ; ''.__class__.__mro__ ; [].__class__ is defined ; d.__init__ ; d['__class__'] ; range.__globals__ ; n.__add__ ; (1).__class__ ; missing.__class__ ; s.encode is defined ; namespace.__init__ ; d | attr('__class__') ; '{0.__class__}'.format(1) ; '{0.__class__.__mro__}'.format(1) ; s.format.__self__ ; ''['__class__'] ; ''|attr('__class__')|attr('__mro__') ; [1].__len__
joiner ; cycler ; lipsum is callable ; missing() ; n() ; 'a'() ; none.x ; none['x'] is defined ; s.nope() ; s.upper(1) ; s.split(x=1) ; s | nope ; s | upper(1) is defined ; users[0].name.upper()[0] ; (1, 2, 3) | last ; [[1, 2], [3]] | map('first') | list ; {'a': 1}['a'] ; {'a': 1}.a ; [1, 2, 3,] ; (1, 2,) ; {'a': 1,} ; 'a' 'b' "c" ; {1: 'a'}[1] ; {1: 'a'}[true] ; {1.0: 'a'}[1] ; {'a': 1, 'a': 2} ; {[]: 1} ; (((1)))
9223372036854775806 + 1 ; big * 2 ; big / 2 ; big % 1000 ; 1 == '1' ; '1' in '123' ; [1, [2, [3]]] | string ; none ~ none ; true ~ false ; 'a' if true ; 'tail' [1:3] ; (s | upper)[0] ; s | upper | lower | length ; -s | length ; not s is string ; not (1 in [1]) ; 1 + 2 ~ 3 ; 1 ~ 2 + 3 ; 2 * 3 ~ 4 ; 'a' ~ 'b' == 'ab' ; 3 - 1 - 1 ; 2 ** 2 * 3 ; 10 / 2 * 5 ; -7 | abs ; -x | round ; 'a' in 'ab' == true ; true and false or true
"""

TEMPLATES = [
    "a\n  {% if true %}\n  b\n  {% endif %}\nc", "a\n  {%- if true -%}\n  b\n  {%- endif -%}\nc",
    "a\n  {%+ if true %}\n  b\n  {% endif +%}\nc", "  {{ 1 }}\n  {{- 2 -}}\n 3", "{# c #}\na {# d #} b\n  {# e -#}  \n f",
    "  {#- x -#}  y", "{% raw %}{{ x }} {% if %}{% endraw %}\n z", "a\n  {%- raw -%}  {{ q }}  {%- endraw -%}\n b",
    "line\n", "line\n\n", "\n\n", "a\r\nb\rc", "{{ 'a\nb' }}", "{{ 'x' }}\n{{ 'y' }}\n", "{% set x = 1 %}\n{{ x }}",
    "a {% set x = 1 %}\nb", "a\n \t{% set x = 1 %}  \nb", "{% if true %}{% endif %}\n\nb", "{{ '{{' }} }} %} #}", "{ { x } } { % %}",
    "{% for i in list %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}", "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for i in list %}[{{ loop.previtem }}|{{ loop.nextitem }}]{{ loop.previtem is defined }}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for u in users %}{% if loop.changed(u.age) %}*{% endif %}{{ u.name }}{% endfor %}", "{% for i in range(9) if i is odd %}{{ i }}{{ loop.index }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d | dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for a, b in [(1,)] %}{% endfor %}", "{% for c in s %}{{ c }}.{% endfor %}", "{% for c in missing %}x{% else %}e{% endfor %}", "{% for c in none_ %}{% endfor %}", "{% for c in 5 %}{% endfor %}",
    "{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 6 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}", "{% break %}",
    "{% set x = 1 %}{% for i in list %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for i in list %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% if true %}{% set y = 5 %}{% endif %}{{ y }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, b) = [3, 4] %}{{ a + b }}", "{% set q.x = 1 %}", "{% set ns = namespace() %}{% set ns.a.b = 1 %}", "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% set x %}a{{ n }}b{% endset %}{{ x | upper }}{{ x is string }}", "{% set x | upper | trim %} abc {% endset %}[{{ x }}]", "{% set x %}{% set y = 1 %}{% endset %}{{ y is defined }}", "{% set loop = 1 %}", "{% set true = 1 %}", "{% set ns = namespace(a=1) %}{% set ns.a, b = 2, 3 %}{{ ns.a }}{{ b }}",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c='z') }} {{ m(b=1, a=0) }} {{ m() }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(4) }}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 3 %}{{ m() }}", "{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(4) }}", "{{ m() }}{% macro m() %}{% endmacro %}", "{% for i in list %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body {{ n }}{% endcall %}", "{% macro m(u) %}{% for x in u %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(item, i) m(list) %}<{{ i }}:{{ item }}>{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ m.name }}{{ m.arguments }}{% endmacro %}{{ m(1) }}", "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}", "{% macro m(a=1, b) %}{% endmacro %}",
    "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aaa{% endfilter %}", "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}", "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z is defined }}", "{% set a = 5 %}{% with a = a + 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% for x in [1, [2, [3]]] recursive %}{% if x is number %}{{ x }}@{{ loop.depth }}{% else %}({{ loop(x) }}){% endif %}{% endfor %}", "{% for x in list %}{{ loop(x) }}{% endfor %}", "{% for x in list %}{{ loop }}{% endfor %}"[:0] + "x",
    "{% if a %}1{% elif n %}2{% elif true %}3{% else %}4{% endif %}", "{% if not n %}1{% else %}{% if x > 2 %}b{% endif %}{% endif %}", "{% if 1, 2 %}t{% endif %}", "{% print n, s %}"[:0] + "{% print n %}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ j() }}c",
    "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% do list.append(1) %}", "{% nope %}", "{% if %}{% endif %}", "{% if 1 %}", "{% endif %}", "{% for x %}{% endfor %}", "{{ }}", "{{ 1 2 }}", "{{ 'a }}", "{{ (1 }}", "{{ 1) }}", "{% set %}", "{{ a..b }}", "{{ a.'b' }}", "{{ $ }}", "{{", "{%", "{#", "{% raw %}", "{{ a | }}", "{{ a is }}", "{{ [1, }}", "{{ {1} }}", "{{ x if }}", "{{ f(a=1, 2) }}", "{{ not }}", "{{ 1 + }}", "{{ a b }}", "{% for x in y %}{% endif %}", "{{ 1 is is 2 }}", "{% macro 1() %}{% endmacro %}", "{% call 5 %}{% endcall %}", "{{ 007 }}"[:0] + "{{ 0 }}",
    "{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}", "{%- for m in messages -%}\n{%- if m.role == 'assistant' -%}<a>{% generation -%}{{ m.content + '</a>' }}{%- endgeneration %}{%- else -%}<u>{{ m.content }}</u>{%- endif -%}\n{%- endfor -%}", "{% generation %}{% set q = 1 %}{% endgeneration %}{{ q is defined }}",
    "{% set x = 'a' %}{% set y = x %}{% set x = 'b' %}{{ y }}{{ x }}", "{% for m in messages | selectattr('role', 'equalto', 'user') %}{{ m.content }}{{ loop.index }}{% endfor %}", "{% set g = list | map('string') %}{{ g | list }}{{ g | list }}", "{% set g = list | select %}{{ g | first }}{{ g | list }}", "{% for k in d %}{{ k }}{% endfor %}", "{{ messages[0]['role'] }}{{ messages[-1].content }}{{ messages[1:] | length }}{{ messages[::-1][0].content }}",
    "{%if n%}a{%endif%}{{n}}{{-n-}}", "{% if n: %}x{% endif %}"[:0] + "y", "{{ n\n+\n1 }}", "{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': {}} }}", "{%- set a = {'x': [1, 2]} -%}{{ a.x | last }}", "{{ list | map('string') | join(', ') }}", "{% for a in list %}{% for b in list %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}", "{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}", "{% for i in range(3) %}{% set i = i * 2 %}{{ i }}{% endfor %}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(2) }}{% endmacro %}{{ outer(1) }}", "{% if loop is defined %}a{% else %}b{% endif %}", "{% for x in list %}{% endfor %}{{ x }}", "{% for list in [list] %}{{ list }}{% endfor %}", "{{ dict(messages[0], content='z') }}", "{% set d2 = dict(d, **{'q': 9}) %}{{ d2 }}", "{{ messages | map(attribute='content') | map('upper') | join(' ') }}",
]


def compact(value):
    return json.loads(json.dumps(value))


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 7, 26, 9, 30, 0)


def render(source):
    chat.datetime = FixedTime
    case = {"template": source}
    try:
        template = chat._compile_jinja_template(source)
        text, spans = chat._render_with_assistant_indices(
            compiled_template=template, messages=copy.deepcopy(V["messages"]), tools=None, documents=None,
            add_generation_prompt=False, **{k: v for k, v in copy.deepcopy(V).items() if k != "messages"})
        case["text"] = text
        if spans:
            case["generated"] = [list(span) for span in spans]
    except Exception as error:  # whatever it is, the template fails
        case["error"] = f"{type(error).__name__}: {error}"[:160]
    return case


def main():
    sources = []
    for line in EXPRESSIONS.strip().split("\n"):
        for expression in line.split(" ; "):
            sources.append("{{ " + expression.strip() + " }}")
    cases = [render(source) for source in sources + TEMPLATES]
    target = pathlib.Path(__file__).resolve().parent.parent / "TemplateTests/Goldens/jinja.json"
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    target.write_text('{"variables": ' + json.dumps(V, ensure_ascii=False) + ',\n"cases": [\n' + lines + "\n]}\n")
    print(len(cases), "cases,", sum("error" in case for case in cases), "of them fail")


main()
