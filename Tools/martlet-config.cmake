# find_package(martlet): the headers of the contract, and martlet_add_plugin(NAME SOURCES...), a library that exports its
# entry alone.
get_filename_component(MARTLET_PREFIX "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET martlet::plugin_api)
    add_library(martlet::plugin_api INTERFACE IMPORTED)
    set_target_properties(martlet::plugin_api PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${MARTLET_PREFIX}/include")
endif()

function(martlet_add_plugin name)
    add_library(${name} SHARED ${ARGN})
    target_link_libraries(${name} PRIVATE martlet::plugin_api "-Wl,--version-script=${MARTLET_PREFIX}/share/martlet/exports.map")
endfunction()
