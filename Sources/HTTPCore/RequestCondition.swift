// SPDX-License-Identifier: Apache-2.0
//
// Conditions on fields, query parameters and cookies, as a router keeps them: names and values in
// memory of the caller, which lives as long as the condition.

/// A header field that must be there, with one value or any.
@safe
public struct FieldCondition {
    let field: KnownField
    let name: UnsafeRawBufferPointer
    let value: UnsafeRawBufferPointer?

    /// A condition on the field `name`, which is in lower case.
    ///
    /// The value is compared byte for byte, without whitespace around it; `nil` takes any.
    public init(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) {
        unsafe self.name = name
        unsafe self.value = value
        if let start = name.baseAddress {
            field = unsafe KnownField.recognise(
                start.assumingMemoryBound(to: UInt8.self), count: name.count)
        } else {
            field = .other
        }
    }
}

/// A query parameter that must be there, with one value or any.
///
/// A query is read as forms write it (WHATWG URL, `application/x-www-form-urlencoded`): parts
/// between `&`, name before the first `=`; in both `+` is a space and valid escapes are decoded,
/// while a `%` that begins none stands for itself. A part without `=` has an empty value.
@safe
public struct QueryCondition {
    let name: UnsafeRawBufferPointer
    let value: UnsafeRawBufferPointer?

    /// A condition on the parameter `name`; name and value are in decoded form.
    public init(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) {
        unsafe self.name = name
        unsafe self.value = value
    }
}

/// A cookie that must be there, with one value or any.
///
/// Names are case-sensitive. Nothing is decoded (RFC 6265 §5.4); double quotes around the whole
/// value may be there or not (§4.1.1).
@safe
public struct CookieCondition {
    let name: UnsafeRawBufferPointer
    let value: UnsafeRawBufferPointer?

    /// A condition on the cookie `name`.
    public init(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) {
        unsafe self.name = name
        unsafe self.value = value
    }
}
