import JSON
print(JSON.null.text())
