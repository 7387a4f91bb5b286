# tempera_find_library(NAME HEADER): defines the imported target tempera::NAME if the header and the library are found.
# It is for libraries whose CMake packages cannot be used: Debian's package of oneDNN needs OpenCL, which no kernel here
# uses, and utf8proc, nettle, libwebp and LittleCMS have no package. The build and the installed package
# (temperaConfig.cmake) both use this function.
function(tempera_find_library name header)
  string(TOUPPER ${name} variable)
  find_path(${variable}_INCLUDE_DIR ${header})
  find_library(${variable}_LIBRARY ${name})
  mark_as_advanced(${variable}_INCLUDE_DIR ${variable}_LIBRARY)
  if(${variable}_INCLUDE_DIR AND ${variable}_LIBRARY AND NOT TARGET tempera::${name})
    # Include folders of imported targets are SYSTEM, so that their headers raise no warnings.
    add_library(tempera::${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(tempera::${name} PROPERTIES
      IMPORTED_LOCATION ${${variable}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${${variable}_INCLUDE_DIR})
  endif()
endfunction()
