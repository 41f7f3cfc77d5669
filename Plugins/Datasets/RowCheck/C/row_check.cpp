#include "row_check.h"

#include <algorithm>
#include <new>
#include <simdjson.h>
#include <string_view>
#include <vector>

static_assert(ROW_CHECK_PADDING >= simdjson::SIMDJSON_PADDING, "the callers' padding is too small");

struct row_check {
    simdjson::dom::parser parser;
    size_t max_depth;
    size_t capacity = 0;
    std::vector<std::string_view> keys;
};

namespace {

/* Objects of rows have few members: comparing each with each is faster than a table up to this many. */
constexpr size_t scan_limit = 16;

bool has_duplicates(row_check &check, simdjson::dom::element element);

bool object_has_duplicates(row_check &check, simdjson::dom::object object) {
    size_t first = check.keys.size();
    for (auto member : object) check.keys.push_back(member.key);
    auto begin = check.keys.begin() + static_cast<std::ptrdiff_t>(first);
    bool found = false;
    if (check.keys.size() - first <= scan_limit) {
        for (auto a = begin; a != check.keys.end() && !found; ++a)
            for (auto b = begin; b != a && !found; ++b) found = *a == *b;
    } else {
        std::sort(begin, check.keys.end());
        found = std::adjacent_find(begin, check.keys.end()) != check.keys.end();
    }
    check.keys.resize(first);
    if (found) return true;
    for (auto member : object)
        if (has_duplicates(check, member.value)) return true;
    return false;
}

/* Recursion is bounded by the parser's own depth. */
bool has_duplicates(row_check &check, simdjson::dom::element element) {
    if (element.is_object()) return object_has_duplicates(check, simdjson::dom::object(element));
    if (element.is_array())
        for (auto child : simdjson::dom::array(element))
            if (has_duplicates(check, child)) return true;
    return false;
}

} // namespace

extern "C" row_check *row_check_create(size_t max_depth) {
    try {
        auto *check = new row_check();
        check->max_depth = max_depth;
        return check;
    } catch (...) {
        return nullptr;
    }
}

extern "C" void row_check_destroy(row_check *check) { delete check; }

extern "C" int row_check_run(row_check *check, const char *text, size_t size) {
    try {
        if (size > check->capacity) {
            size_t capacity = std::max(size, std::max<size_t>(1 << 16, check->capacity * 2));
            if (check->parser.allocate(capacity, check->max_depth)) return ROW_CHECK_NO_MEMORY;
            check->capacity = capacity;
        }
        simdjson::dom::element root;
        if (check->parser.parse(text, size, false).get(root)) return ROW_CHECK_NOT_JSON;
        if (!root.is_object()) return ROW_CHECK_NOT_OBJECT;
        return has_duplicates(*check, root) ? ROW_CHECK_DUPLICATE_KEY : ROW_CHECK_OBJECT;
    } catch (const std::bad_alloc &) {
        check->capacity = 0;
        return ROW_CHECK_NO_MEMORY;
    } catch (...) {
        return ROW_CHECK_NOT_JSON;
    }
}
